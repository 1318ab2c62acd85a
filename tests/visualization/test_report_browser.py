"""The page in a browser: nothing is missing, nothing is too wide, nothing runs that should not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from browser import View, open_page
from report_scene import EVIL, write_scene

from clmot_qd.apis.embedding_quality_report import TRAINED, TrueObjects
from clmot_qd.visualization.report import ReportRun, write_report
from clmot_qd.visualization.report.history import Curve, History
from clmot_qd.visualization.report.result_folders import read_tracked
from clmot_qd.visualization.report.tracked import Embedded, Tracked, pictures_of


def embedded() -> Embedded:
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(6), 12)
    vectors = rng.normal(size=(6, 8))[ids] + 0.3 * rng.normal(size=(72, 8))
    zeros = np.zeros(72, dtype=np.int64)
    objects = TrueObjects({TRAINED: vectors}, ids, np.tile(np.arange(12), 6), zeros, zeros, [EVIL])
    return Embedded(objects, [EVIL])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all that there can be, every name an attack, one of them very long."""
    folder = tmp_path_factory.mktemp("page")
    scene = write_scene(folder / "scene", sequence=EVIL, class_name=EVIL)
    known = read_tracked(scene / "truth.json", scene / "tracks.json", protocol="plain")
    pictures = pictures_of(known.truth, scene / "img")
    tracked = Tracked(known.truth, known.tracks, known.classes, known.rules, pictures, EVIL, embedded())
    curve = Curve([1, 2, 3], [3.0, 2.0, 1.0])
    history = History({"loss": curve, f"loss_{EVIL}": curve, "lr": curve}, {"track/HOTA": curve}, [2])
    runs = [
        ReportRun(EVIL, [(EVIL, EVIL), ("long", "x" * 300)], [EVIL], history, tracked),
        ReportRun("y" * 120 + "$_1$", [], [], history, tracked),
    ]
    return write_report(runs, folder / "page.html", EVIL)


def opened(view: View, page: Path) -> View:
    view.page.on("dialog", lambda dialog: view.problems.append(f"dialog: {dialog.message}") or dialog.dismiss())
    view.page.goto(page.as_uri())
    return view


@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_whole_and_fits(page: Path, width: int, tmp_path: Path) -> None:
    with open_page(width=width) as view:
        opened(view, page)
        assert view.problems == []
        assert view.requests == [page.as_uri()]
        assert view.broken_images() == []
        assert view.page.evaluate("document.images.length") == 2 * (2 + 3) + 1
        assert view.overflow() == 0
        view.page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert view.page.evaluate(
            "[...document.querySelectorAll('img, svg[role=img]')].every(i => i.alt || i.ariaLabel)"
        )


def test_a_table_is_sorted_by_keyboard(page: Path) -> None:
    with open_page() as view:
        opened(view, page)
        view.page.locator("summary").first.click()
        table = view.page.locator("#run-1 table").first
        numbers = "t => [...t.tBodies[0].rows].map(r => r.cells[1].textContent.trim())"
        table.evaluate(
            """t => {
                for (const value of ["9", "10", "–", "7.5"]) {
                    const row = t.tBodies[0].insertRow(0);
                    row.append(document.createElement("th"));
                    const cell = row.insertCell();
                    cell.textContent = value;
                    if (value !== "–") cell.dataset.value = value;
                }
                t.tBodies[0].querySelector("tr:not(.total):nth-last-child(2)").remove();
            }"""
        )
        total = table.evaluate(numbers)[-1]
        button = table.locator("thead button").nth(1)
        button.focus()
        view.page.keyboard.press("Enter")
        assert table.evaluate(numbers) == ["10", "9", "7.5", "–", total]
        assert table.locator("thead th").nth(1).get_attribute("aria-sort") == "descending"
        view.page.keyboard.press("Enter")
        assert table.evaluate(numbers) == ["7.5", "9", "10", "–", total]
        assert view.problems == []


def test_a_script_that_gets_in_does_not_run(page: Path, tmp_path: Path) -> None:
    """The page's policy is a second wall behind the escaping of names."""
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text(encoding="utf-8").replace("<main", f"{EVIL}<main", 1), encoding="utf-8")
    with open_page() as view:
        opened(view, broken)
        assert not [problem for problem in view.problems if problem.startswith("dialog")]
        assert [problem for problem in view.problems if "Content Security Policy" in problem]
