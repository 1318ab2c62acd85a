"""Which format a file is taken for where masks are needed, and what is said of files that have none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mask_scene import assert_same_masks, mask_annotation, mask_tracks, read_scene
from result_scene import assert_same

from clmot_qd.datasets.mot_text import empty_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth
from clmot_qd.evaluation.formats import FORMATS, detect_format, read_predictions, write_results_in

AS_FOLDER = "put it into a folder as SEQUENCE.txt"


@pytest.fixture
def truth(tmp_path: Path) -> GroundTruth:
    """Images with the same numbers here and in the source."""
    data = mask_annotation()
    for image in data["images"]:
        del image["source_id"]
    return read_scene(tmp_path, data)


def refused(message: str, act: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)


def change_rows(folder: Path, change: Callable[[list[str]], str]) -> None:
    """Write every row of MOTS text anew."""
    for file in folder.glob("*.txt"):
        rows = file.read_text().splitlines()
        file.write_text("".join(change(row.split()) + "\n" for row in rows))


class TestMotsText:
    @pytest.mark.parametrize("needed", [False, True])
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (",".join, r"out/.\.txt:1: 1 columns; a row is frame id class height width runs, separated by blanks"),
            (lambda row: " ".join([row[0], f"{row[1]}.0", *row[2:]]), r"out/.\.txt:1: id '\d\.0' is no whole number"),
            (lambda row: " ".join([row[0], "-1", *row[2:]]), r"out/.\.txt:1: id '-1' is no whole number"),
        ],
    )
    def test_damaged_rows_are_still_those_of_masks(
        self, change: Callable[[list[str]], str], message: str, needed: bool, tmp_path: Path, truth: GroundTruth
    ) -> None:
        FORMATS["mots"].write(tmp_path / "out", truth, mask_tracks())
        change_rows(tmp_path / "out", change)
        refused(message, lambda: read_predictions(tmp_path / "out", truth, need_masks=needed))

    def test_rows_of_neither_are_taken_for_what_is_asked_for(self, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["mots"].write(tmp_path / "out", truth, mask_tracks())
        change_rows(tmp_path / "out", lambda row: " ".join(row[:5]))
        assert (detect_format(tmp_path / "out"), detect_format(tmp_path / "out", masks=True)) == ("mot", "mots")
        message = r"out/.\.txt:1: 5 columns; a row is frame id class"
        refused(message, lambda: read_predictions(tmp_path / "out", truth, need_masks=True))

    def test_boxes_and_notes_are_no_masks(self, tmp_path: Path) -> None:
        for text in ("1,1,10,20,30,40\n", "six words that are no row\n", "1,1,2,3,4,5,0.5,-1,-1,-1\n"):
            (tmp_path / "a.txt").write_text(text)
            assert detect_format(tmp_path) == "mot"
        assert detect_format(tmp_path, masks=True) == "mot"

    @pytest.mark.parametrize(
        ("form", "message"), [(None, "a text file, no JSON"), ("mot", "a single file"), ("mots", "a single file")]
    )
    def test_a_file_alone(self, form: str | None, message: str, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["mots"].write(tmp_path / "out", truth, mask_tracks())
        refused(
            rf"out/b\.txt: {message}; {AS_FOLDER}", lambda: read_predictions(tmp_path / "out" / "b.txt", truth, form)
        )

    def test_a_tracker_that_found_nothing(self, tmp_path: Path, truth: GroundTruth) -> None:
        write_results_in(tmp_path / "out", "mot", truth, dict.fromkeys(mask_tracks(), empty_table()))
        found = read_predictions(tmp_path / "out", truth, need_masks=True)
        assert [len(table) for table in found.values()] == [0, 0]
        (tmp_path / "x.json").write_text("[]")
        found = read_predictions(tmp_path / "x.json", truth, need_masks=True)
        assert [len(table) for table in found.values()] == [0, 0]

    def test_the_format_of_boxes_by_name(self, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["mots"].write(tmp_path / "out", truth, mask_tracks())
        message = r"out: boxes without masks \(taken for mot\), and masks are asked for"
        refused(message, lambda: read_predictions(tmp_path / "out", truth, "mot", need_masks=True))


class TestFolderOfATestRun:
    def test_says_where_the_masks_are(self, tmp_path: Path, truth: GroundTruth) -> None:
        out = tmp_path / "out"
        _, masks = write_results_in(out, ("mot", "mots"), truth, mask_tracks())
        refused(
            rf"out: no masks in the folder itself, but in {masks}; give that path",
            lambda: read_predictions(out, truth, need_masks=True),
        )
        assert_same_masks(read_predictions(masks, truth, need_masks=True), mask_tracks())
        assert_same(read_predictions(out, truth, masks=True), mask_tracks(), score_digits=6)  # boxes will do there

    @pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.keeps_masks])
    def test_with_one_format_alone(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        out = tmp_path / "out"
        (place,) = write_results_in(out, name, truth, mask_tracks())
        (out / "metrics.json").write_text("{}")
        refused(f"out: no masks .* but in {place}; give", lambda: read_predictions(out, truth, need_masks=True))
        assert_same_masks(read_predictions(place, truth, need_masks=True), mask_tracks())

    def test_several_of_which_one_has_boxes_alone(self, tmp_path: Path, truth: GroundTruth) -> None:
        out, forms = tmp_path / "out", ("mot", "cocovid", "bdd100k", "mots")
        write_results_in(out, forms, truth, mask_tracks())
        boxes = {name: replace(table, masks=None) for name, table in mask_tracks().items()}
        write_results_in(out, "cocovid", truth, boxes)
        refused(
            f"but in {out / 'bdd100k.json'} or {out / 'mots'}; give",
            lambda: read_predictions(out, truth, need_masks=True),
        )

    def test_rows_of_masks_on_top_are_taken(self, tmp_path: Path, truth: GroundTruth) -> None:
        write_results_in(tmp_path, ("cocovid",), truth, mask_tracks())
        FORMATS["mots"].write(tmp_path, truth, mask_tracks())
        assert_same_masks(read_predictions(tmp_path, truth, need_masks=True), mask_tracks())


class TestBoxesWhereMasksAreNeeded:
    @pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if not form.of_masks])
    def test_message(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        path = tmp_path / ("out" if name == "mot" else "out.json")
        FORMATS[name].write(path, truth, {key: replace(table, masks=None) for key, table in mask_tracks().items()})
        message = (
            rf"{path}: boxes without masks \(taken for {name}\), and masks are asked for; give .* \(bdd100k, cocov"
        )
        refused(message, lambda: read_predictions(path, truth, need_masks=True))
        refused(message, lambda: read_predictions(path, truth, name, need_masks=True))


class TestTrackId:
    """As the files of others call an identity."""

    @staticmethod
    def rename(path: Path, truth: GroundTruth, rows: slice = slice(None), keep: bool = False) -> None:
        FORMATS["cocovid"].write(path, truth, mask_tracks())
        entries = json.loads(path.read_text())
        for entry in entries[rows]:
            entry["track_id"] = 99 if keep else entry.pop("instance_id")
        path.write_text(json.dumps(entries))

    def test_beside_masks(self, tmp_path: Path, truth: GroundTruth) -> None:
        path = tmp_path / "x.json"
        self.rename(path, truth)
        assert (detect_format(path), detect_format(path, masks=True)) == ("tao", "cocovid")
        assert_same_masks(read_predictions(path, truth, need_masks=True), mask_tracks())
        assert_same(read_predictions(path, truth), mask_tracks())  # boxes: either format reads the same
        assert_same(read_predictions(path, truth, "cocovid"), mask_tracks())

    def test_beside_instance_id(self, tmp_path: Path, truth: GroundTruth) -> None:
        self.rename(tmp_path / "x.json", truth, keep=True)
        assert_same_masks(read_predictions(tmp_path / "x.json", truth, need_masks=True), mask_tracks())
        self.rename(tmp_path / "x.json", truth, slice(2, None))
        message = r"x.json: \[2\]: no key 'instance_id'; every entry needs it"
        refused(message, lambda: read_predictions(tmp_path / "x.json", truth, need_masks=True))

    def test_where_images_have_numbers_of_their_own(self, tmp_path: Path) -> None:
        """``track_id`` could mean TAO's numbers there, and another image."""
        truth = read_scene(tmp_path)
        self.rename(tmp_path / "x.json", truth)
        message = r"x.json: \[0\]: no key 'instance_id'; every entry needs it"
        refused(message, lambda: read_predictions(tmp_path / "x.json", truth, need_masks=True))


def test_an_annotation_file_is_no_list_of_predictions(tmp_path: Path, truth: GroundTruth) -> None:
    """As track_video writes one for each video."""
    (tmp_path / "tracks.json").write_text('{"annotations": [{"id": 1, "instance_id": 0}], "images": []}')
    message = r"tracks.json: the top level is a dict; .* of track_video take tracks_mots.txt or tracks.txt: "
    for form in (None, "cocovid", "tao"):
        refused(message + AS_FOLDER, lambda form=form: read_predictions(tmp_path / "tracks.json", truth, form))
