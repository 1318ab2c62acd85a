"""The command line, and what it refuses before anything is served."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from typing import Any

import pytest
from locations import REPOSITORY

from clmot_qd.app import server
from clmot_qd.app.addresses import is_loopback
from clmot_qd.app.limits import Limits
from clmot_qd.app.models import Model
from clmot_qd.app.server import ServerOptions, serve
from clmot_qd.errors import InputError

TOOL = REPOSITORY / "tools" / "app.py"


@pytest.fixture
def main() -> Any:
    return runpy.run_path(str(TOOL))["main"]


def test_the_command_line_reaches_the_server(main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple] = []
    monkeypatch.setattr(server, "serve", lambda *arguments: served.append(arguments))
    assert main(["--config", "clmot_tiny_demo", "--checkpoint", "a.pth"]) == 0
    every = "--model x=b,c --device cpu --keep-models 3 --host ::1 --port 80 --concurrency 2 --max-waiting 1"
    every += " --keep-minutes 5 --max-mb 1 --max-seconds 2 --max-frames 3"
    assert main(every.split()) == 0
    (models, limits, options), (others, small, all_options) = served
    assert models == [Model("clmot_tiny_demo", "clmot_tiny_demo", "a.pth")]
    assert (limits, options) == (Limits(), ServerOptions())
    assert options.host == "127.0.0.1"
    assert (others, small) == ([Model("x", "b", "c")], Limits(1, 2, 3))
    assert all_options == ServerOptions("::1", 80, "cpu", 2, 1, 3, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no model: give --config and --checkpoint"),
        (["--config", "clmot_tiny_demo"], "give both"),
        (["--config", "clmot_tiny_demo", "--checkpoint", "gone.pth"], r"gone\.pth: no such checkpoint"),
        (["--model", "x"], "NAME=CONFIG,CHECKPOINT"),
        (["--runs", "nowhere"], "no such folder"),
        (["--max-mb", "0"], "--max-mb 0"),
        (["--port", "70000"], "--port 70000"),
        (["--keep-minutes", "0"], "--keep-minutes 0"),
    ],
)
def test_mistakes_are_named_before_anything_is_loaded(
    main: Any, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "Workspace", lambda *_: pytest.fail("a folder was made"))
    with pytest.raises(InputError, match=message):
        main(arguments)


def test_without_gradio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'clmot_qd\[app\]'"):
        serve([], Limits(), ServerOptions())


def test_only_the_page_imports_gradio() -> None:
    importing = set()
    for path in (REPOSITORY / "clmot_qd" / "app").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # what happens at import
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] in ("gradio", "starlette", "fastapi") for name in names):
                importing.add(path.stem)
            if any(name == "clmot_qd.app.page" for name in names):
                importing.add(path.stem)
    assert importing == {"page"}


def test_help_comes_without_the_package() -> None:
    command = [sys.executable, "-X", "importtime", str(TOOL), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--max-seconds" in shown.stdout
    assert "mmdet" not in shown.stderr
    assert "gradio" not in shown.stderr


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.1.5", "example.org", "127.0.0.1.org", "")),
    ],
)
def test_which_addresses_only_this_computer_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_no_font_is_asked_for_elsewhere() -> None:
    pytest.importorskip("gradio", reason="gradio is not installed")
    from clmot_qd.app.page import style

    look = style()
    sheets = [look["theme"]._get_theme_css(), *look["theme"]._stylesheets, look["css"]]
    asked = [
        text for sheet in sheets for text in re.findall(r"@import[^;]*|url\([^)]{0,12}|https?://[^/\s'\"]+", sheet)
    ]
    assert not [text for text in asked if not text.startswith('url("data:') and text != "http://www.w3.org"]
