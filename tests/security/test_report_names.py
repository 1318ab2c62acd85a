"""Names in a report are text, wherever they stand: the page has the same tags and attributes whatever they say."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_scene import write_scene

from clmot_qd.visualization.report.collecting import Request, make_report

PLAIN = "street"
ATTACKS = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</script><svg onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7*7 }}{% for x in y %}",
    "<!--",
    "]]></style><style>*{display:none}",
    "&lt;b&gt;&#60;script&#62;",
    "\u202e<b>\u2028\u2029\0\x1b[31m",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "$\\href{javascript:x}{y}$ _ ^ % #",
    "\ud800\udfff\ufffe",
]


class Shape(HTMLParser):
    """Tags with the names of their attributes, in order; addresses and policy as they are."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.addresses: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.addresses += [str(value) for name, value in attrs if name in ("href", "src", "action", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(("/" + tag,))

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment",))


def page(folder: Path, name: str) -> str:
    scene = write_scene(folder / "scene", sequence=name, class_name=name)
    request: dict[str, Any] = dict(gt=str(scene / "truth.json"), pred=[str(scene / "tracks.json")], protocol="plain")
    path = make_report(
        Request(**request, images=str(scene / "img"), names=[name], title=name, out=str(folder / "page.html")),
        lambda line: None,
    )
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Shape:
    return Shape(page(tmp_path_factory.mktemp("plain"), PLAIN))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_name_changes_nothing_of_the_page(name: str, plain: Shape, tmp_path: Path) -> None:
    source = page(tmp_path, name)
    found = Shape(source)
    assert found.tags == plain.tags
    assert all(address.startswith(("data:", "#")) for address in found.addresses)
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", source)
    assert sum(tag == ("script",) for tag in found.tags) == 1


def test_the_page_runs_its_own_script_alone(plain: Shape, tmp_path: Path) -> None:
    source = page(tmp_path, PLAIN)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', source)
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src &#39;sha256-[^;&]+&#39;|"
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-[^;']+'",
        policy[1],
    )
    assert not [tag for tag in plain.tags if any(name.startswith("on") for name in tag[1:])]


@pytest.mark.parametrize("file_name", ["../../secret.png", "/etc/passwd"])
def test_no_picture_from_elsewhere_gets_into_the_page(file_name: str, tmp_path: Path) -> None:
    from clmot_qd.errors import InputError

    scene = write_scene(tmp_path / "scene")
    truth = scene / "truth.json"
    truth.write_text(truth.read_text().replace("003.png", file_name))
    request: dict[str, Any] = dict(gt=str(truth), pred=[str(scene / "tracks.json")], protocol="plain")
    with pytest.raises(InputError, match=r"truth\.json: .*is not below"):
        make_report(Request(**request, images=str(scene / "img"), out=str(tmp_path / "page.html")), lambda line: None)
    assert not (tmp_path / "page.html").exists()
