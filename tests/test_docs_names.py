"""What the documentation names exists: links, configurations, files, functions, tests, imports of its Python lines."""

from __future__ import annotations

import ast
import functools
import importlib.util
import itertools
import re
from dataclasses import fields
from pathlib import Path

import pytest
from docs_pages import PAGES, Block, all_blocks, anchors_of, code_spans, prose, read
from locations import REPOSITORY

from clmot_qd.apis.running import packaged_configs
from clmot_qd.export.metadata import PREFIX, FileSettings

LINK = re.compile(r"\[[^\]]*\]\((?P<path>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")
# file.py:Class.method, file.py::test or a path alone; ":name" and "::test" go on with the file before them.
SPAN = re.compile(r"(?P<file>[\w./*-]+\.py)?(?P<colons>::?)(?P<name>[A-Za-z_][\w.:]*)(?:\[.*\])?$")
FILE = re.compile(r"[\w.-]+(?:/[\w.*{},-]+)+\.(?:py|md|yml|sh|toml|css)$")
CONFIG = re.compile(r"(?:clmot|qdtrack|fairmot-baseline)_(?!qd\b)[\w{},-]+(?:\.py)?$")
NAMES_A_TEST = re.compile(r"`[^`]*(?:\btest_\w+\.py|::)[^`]*`")
DOTTED = re.compile(r"clmot_qd(?:\.\w+)+(?=$|\()")
ROOTS = ("", "clmot_qd", "tests", "docs", "configs", "configs/_base_", "configs/_base_/models", "configs/qdtrack")
# What recipes and examples invent: names that do not exist on purpose.
INVENTED = re.compile(
    r"contrastive|overlap_tracker|atss|my_set|ROOT|SEQUENCE|VIDEO|LABELS|DIR/|data/|MOT17/|work_dirs/|tuned/"
)
FOREIGN = ("coming_from.md", "comparison.md")  # name files of other projects
METADATA = {PREFIX + name for name in ("format", *(field.name for field in fields(FileSettings)))}  # of ONNX files
PAPERS = [page for page in PAGES if page.name.startswith("paper_")]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_and_picture_leads_somewhere(page: Path) -> None:
    for link in LINK.finditer(re.sub(r"`[^`]*`", "``", prose(page))):
        path, anchor = link["path"], link["anchor"]
        if "://" in path:
            continue
        target = (REPOSITORY / page.parent / path).resolve() if path else REPOSITORY / page
        assert target.exists(), f"{page}: {link[0]}"
        if anchor:
            names = anchors_of(target.relative_to(REPOSITORY))
            assert anchor[1:] in names, f"{page}: {link[0]}: {target.name} has no such heading"


@functools.cache
def packaged() -> set[str]:
    return {path.stem for path in packaged_configs().rglob("*.py")}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_configuration_that_is_named_exists(page: Path) -> None:
    for line, span in code_spans(page):
        if CONFIG.match(span) and not INVENTED.search(span):
            for name in alternatives(span.removesuffix(".py")):
                assert name in packaged(), f"{page}:{line}: no configuration {name}"


def alternatives(name: str) -> list[str]:
    """``a_{b,c}_d`` -> ``a_b_d``, ``a_c_d``."""
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def find(path: str) -> list[Path]:
    """The files of the repository that a page means by a path."""
    return [found for root in ROOTS for found in sorted((REPOSITORY / root).glob(path))]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in FOREIGN], ids=str)
def test_every_file_that_is_named_exists(page: Path) -> None:
    for line, span in code_spans(page):
        if FILE.match(span) and not INVENTED.search(span):
            assert all(find(choice) for choice in alternatives(span)), f"{page}:{line}: no file {span}"


@functools.cache
def defined(path: Path) -> set[str]:
    """What a file defines: ``function``, ``Class``, ``Class.method``, names at the top, methods of parents in it."""
    return set(_names(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> list[str]:
    names = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(prefix + node.name)
        if isinstance(node, ast.ClassDef):
            names += _names(node.body, f"{prefix}{node.name}.")
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names += [prefix + target.id for target in targets if isinstance(target, ast.Name)]
    return names


@pytest.mark.parametrize("page", PAPERS, ids=str)
def test_every_function_and_test_of_the_papers_exists(page: Path) -> None:
    """Equation -> file:function -> test: nothing in these tables may be gone or misspelt."""
    checked, code, tests = 0, None, None
    for line, span in code_spans(page):
        named = SPAN.match(span)
        if span.endswith(".py") and span.startswith(("test_", *(f"{f}/test_" for f in ("models", "apis", "trackers")))):
            tests = REPOSITORY / "tests" / span
        if not named:
            continue
        if named["colons"] == "::":
            tests = REPOSITORY / "tests" / named["file"] if named["file"] else tests
            path, name = tests, named["name"].replace("::", ".")
        else:
            code = REPOSITORY / "clmot_qd" / named["file"] if named["file"] else code
            path, name = code, named["name"]
        assert path is not None, f"{page}:{line}: `{span}` goes on with no file"
        assert path.is_file(), f"{page}:{line}: no file {path.relative_to(REPOSITORY)}"
        assert name in defined(path), f"{page}:{line}: {path.name} has no {name}"
        checked += 1
    assert checked > 100


@pytest.mark.parametrize("page", PAPERS, ids=str)
def test_every_row_of_the_papers_names_code_and_a_test(page: Path) -> None:
    table = read(page).split("## Where everything is")[1].split("\n## ")[0]
    rows = [line for line in table.split("\n") if line.startswith("| ") and not line.startswith("| paper |")]
    assert len(rows) > 25
    for row in rows:
        paper, code, test = (cell.strip() for cell in row.strip().strip("|").split("|"))
        assert code.startswith("**not") or "`" in code or "rewritten" in code, f"{page}: {paper}: no code"
        assert NAMES_A_TEST.search(test) or test == "–" or test.startswith("the same"), f"{page}: {paper}: no test"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_name_of_the_package_exists(page: Path) -> None:
    for line, span in code_spans(page):
        named = DOTTED.match(span)
        if named and not INVENTED.search(span) and span not in METADATA:
            assert is_there(named[0]), f"{page}:{line}: no {named[0]}"


def is_there(dotted: str) -> bool:
    """Whether ``package.module.Class.attribute`` can be imported."""
    parts = dotted.split(".")
    for number in range(len(parts), 0, -1):
        name = ".".join(parts[:number])
        if _has_module(name):
            found = importlib.import_module(name)
            for part in parts[number:]:
                if not hasattr(found, part):
                    return False
                found = getattr(found, part)
            return True
    return False


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


PYTHON = all_blocks("python")


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
def test_python_lines_compile_and_their_imports_exist(block: Block) -> None:
    tree = ast.parse(block.text, block.place)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "clmot_qd":
            for name in node.names:
                assert is_there(f"{node.module}.{name.name}"), f"{block.place}: {node.module} has no {name.name}"


def test_pages_of_commands_name_only_commands_that_exist() -> None:
    tools = {path.stem for path in (REPOSITORY / "tools").glob("*.py")}
    for page in PAGES:
        for command in re.findall(r"mim run clmot_qd (\w+)", read(page)):
            assert command in tools or command.isupper(), f"{page}: mim run clmot_qd {command}"
