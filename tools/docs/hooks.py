"""What mkdocs has to know about pages that are written for a code host.

* The READMEs of the configurations belong to the site: ``configs/clmot/README.md`` becomes ``configs/clmot.md``.
* A link to a page of the site leads there, wherever page and target lie in the repository; a link to any other file of
  the repository becomes its path as code text, for the site has no such file.
* Markers of the documentation tests (``<!-- run: demo -->``) are left out.
* Lists are indented by four columns a level and stand after an empty line, as Python-Markdown wants them.
* Docstrings write ``::`` before a drawing and roles (``:class:``) before names; pages show neither.
* The index of the search is written as a script too, so that a page opened from a folder finds it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG_PAGES = {f"configs/{name}.md": f"configs/{name}/README.md" for name in ("clmot", "qdtrack", "hybrid")}
LINK = re.compile(r"(?P<picture>!?)\[(?P<label>[^\]]*)\]\((?P<path>[^)#\s:]*)(?P<anchor>#[^)\s]*)?\)")
MARKER = re.compile(r"^[ ]*<!-- (?:run|needs)\b.*?-->\n", flags=re.M | re.S)
FENCE = re.compile(r" *(```|~~~)")
ITEM = re.compile(r"(?P<indent> *)(?P<mark>[*+-]|\d+\.) +(?=\S)")


def on_files(files: Files, config: Any) -> Files:
    """Add the READMEs of the configurations."""
    for page, source in CONFIG_PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(REPOSITORY / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Adapt one page."""
    source = CONFIG_PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    text = MARKER.sub("", markdown)
    return indent_lists(outside_code(text, lambda prose: rewrite_links(prose, source, page.file.src_uri)))


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Take marks of reStructuredText out of docstrings."""
    plain = re.sub(r"::(?=</p>)", ":", html.replace("<p>::</p>", ""))
    return re.sub(r":(?:class|func|meth|data|mod|attr):<code>~?", "<code>", plain)


def on_post_build(config: Any) -> None:
    """Write the index of the search for pages that are opened without a server."""
    index = Path(config.site_dir) / "search" / "search_index.json"
    index.with_suffix(".js").write_text(f"var __index = {index.read_text(encoding='utf-8')}", encoding="utf-8")


def outside_code(text: str, change: Any) -> str:
    """``text`` with ``change`` applied to what is neither a fenced block nor code in a line."""
    parts = re.split(r"(^ *```.*?^ *```[ ]*$|`[^`\n]+`(?!\]))", text, flags=re.M | re.S)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def rewrite_links(prose: str, source: str, page: str) -> str:
    """Links of a file of the repository, ``source``, as they must be on the page ``page`` of the site."""

    def rewrite(link: re.Match[str]) -> str:
        path, label = link["path"], link["label"]
        if not path:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        on_site = page_of(target)
        if on_site is None:
            return f"`{target}`" if label.strip("`") in target else f"{label} (`{target}`)"
        there = posixpath.relpath(on_site, posixpath.dirname(page) or ".")
        return f"{link['picture']}[{label}]({there}{link['anchor'] or ''})"

    return LINK.sub(rewrite, prose)


def page_of(target: str) -> str | None:
    """Where a file of the repository is on the site; None: not on it."""
    for page, source in CONFIG_PAGES.items():
        if target in (source, posixpath.dirname(source)):
            return page
    return target.removeprefix("docs/") if target.startswith("docs/") else None


def indent_lists(text: str) -> str:
    """Indent what belongs to a list item by four columns a level, and begin each list after an empty line."""
    lines: list[str] = []
    levels: list[int] = []  # where the text of each open item begins in the source
    fence = False
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        item = None if fence else ITEM.match(line)
        if line.strip() and not fence:
            lazy = item is None and bool(lines) and bool(lines[-1].strip())
            levels = [level for level in levels if indent >= level or lazy]
        if item and lines and lines[-1].strip() and not ITEM.match(lines[-1]) and not levels and not _in_item(lines):
            lines.append("")
        shift = 4 * len(levels) - (levels[-1] if levels else 0)
        lines.append(" " * max(0, indent + shift) + line.lstrip() if line.strip() else "")
        if item:
            levels.append(item.end())
        if FENCE.match(line):
            fence = not fence
    return "\n".join(lines)


def _in_item(lines: list[str]) -> bool:
    """Whether the paragraph above is part of a list."""
    for line in reversed(lines):
        if not line.strip():
            return False
        if ITEM.match(line):
            return True
    return False
