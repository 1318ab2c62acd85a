"""The site builds without a warning, from nothing but the repository, and asks no other host for anything."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from browser import open_page
from docs_pages import PAGES
from locations import REPOSITORY

CONFIG = REPOSITORY / "tools" / "docs" / "mkdocs.yml"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: any warning ends the build."""
    pytest.importorskip("mkdocstrings", reason="the extra 'docs' is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(CONFIG), "-d", str(folder)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed")
    spec = importlib.util.spec_from_file_location("docs_hooks", CONFIG.parent / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def html(site: Path, page: str) -> str:
    return (site / page).read_text(encoding="utf-8")


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = [page.relative_to("docs").with_suffix(".html") for page in PAGES if page.parts[0] == "docs"]
    missing = [str(page) for page in pages if not (site / page).is_file()]
    assert not missing
    assert (site / "configs" / "clmot.html").is_file()


def test_nothing_comes_from_another_host(site: Path) -> None:
    loading = re.compile(
        r"<(?:script|img|iframe)[^>]*src=\"?(?:https?:)?//[^\s\">]+|<link[^>]*href=\"?(?:https?:)?//[^\s\">]+"
    )
    for page in site.rglob("*.html"):
        assert not loading.search(page.read_text(encoding="utf-8")), page.name


def test_links_to_files_of_the_repository_are_code(site: Path) -> None:
    text = html(site, "evaluation.html")
    assert "<code>clmot_qd/evaluation/protocols.py</code>" in text
    assert "../clmot_qd" not in text


def test_pages_of_configurations_link_to_pages_and_back(site: Path) -> None:
    assert 'href="../paper_clmot.html"' in html(site, "configs/clmot.html")
    assert 'href="configs/qdtrack.html' in html(site, "paper_qdtrack.html")


def test_markers_are_not_shown(site: Path) -> None:
    assert "<!-- run" not in html(site, "get_started.html")
    assert "&lt;!-- " not in html(site, "get_started.html")


def test_docstrings_are_on_the_pages_of_the_api(site: Path) -> None:
    text = html(site, "api/trackers.html")
    for word in ("JDETracker", "conf_thr", "larger score", "update"):
        assert word in text


def test_marks_of_docstrings_are_not_shown(site: Path) -> None:
    for page in (site / "api").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "::</p>" not in text, page.name
        assert ":class:" not in text, page.name


def test_code_in_lists_is_code(site: Path) -> None:
    text = html(site, "contributing.html")
    assert "```" not in text
    losses = text[text.index('id="adding-a-loss') : text.index('id="adding-a-tracker')]
    assert losses.count("<ol") == 1
    assert losses.count("<li>") == 5
    assert losses.count('<div class="highlight">') == 2


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("words\n* a\n* b", "words\n\n* a\n* b"),
        (
            "1. one\n\n   ```python\n   x\n     y\n   ```\n2. two",
            "1. one\n\n    ```python\n    x\n      y\n    ```\n\n2. two",
        ),
        ("* a\n  b\n* c", "* a\n    b\n* c"),
        ("* a\n  * b\n    c", "* a\n    * b\n        c"),
        ("```\n* no list\n```", "```\n* no list\n```"),
        ("* a\n\nafter", "* a\n\nafter"),
        ("* a\nlazy\n  * b", "* a\n  lazy\n    * b"),
    ],
)
def test_lists_as_python_markdown_wants_them(hooks: ModuleType, text: str, wanted: str) -> None:
    assert hooks.indent_lists(text) == wanted


@pytest.mark.parametrize(
    ("prose", "wanted"),
    [
        ("[data](data.md#pairs)", "[data](data.md#pairs)"),
        ("[a](../configs/clmot/README.md)", "[a](configs/clmot.md)"),
        ("[a](../configs/hybrid/README.md#data)", "[a](configs/hybrid.md#data)"),
        ("[protocols.py](../clmot_qd/evaluation/protocols.py)", "`clmot_qd/evaluation/protocols.py`"),
        ("[the list](../tests/axes.py)", "the list (`tests/axes.py`)"),
        ("[out](https://example.org/a.md)", "[out](https://example.org/a.md)"),
        ("[here](#there)", "[here](#there)"),
        ("![p](images/demo.jpg)", "![p](images/demo.jpg)"),
    ],
)
def test_links_are_adapted(hooks: ModuleType, prose: str, wanted: str) -> None:
    assert hooks.rewrite_links(prose, "docs/page.md", "page.md") == wanted


def test_code_is_left_as_it_is(hooks: ModuleType) -> None:
    text = "`a(x)` A [B](c)\n```python\nA = b\n```\nA [`A`](x)"
    assert hooks.outside_code(text, str.lower) == "`a(x)` a [b](c)\n```python\nA = b\n```\na [`a`](x)"


def test_the_search_works_without_a_server(site: Path) -> None:
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8").startswith("var __index = {")


def test_links_of_a_page_that_stands_elsewhere(hooks: ModuleType) -> None:
    changed = hooks.rewrite_links("[d](../../docs/data.md#x)", "configs/clmot/README.md", "configs/clmot.md")
    assert changed == "[d](../data.md#x)"


@pytest.mark.parametrize("page", ["index.html", "paper_clmot.html", "api/trackers.html"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_in_a_browser(site: Path, page: str, width: int) -> None:
    with open_page(width) as view:
        view.page.goto((site / page).as_uri())
        assert not view.problems
        assert not view.broken_images()
        assert view.overflow() <= 0
        assert all(request.startswith(("file:", "blob:")) for request in view.requests)
