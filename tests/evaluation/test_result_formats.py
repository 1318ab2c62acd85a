"""Result files of boxes: what stands in them, round trips, which format a file is in, whose numbers they use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from result_scene import CATEGORIES, annotation, assert_same, tracks

from clmot_qd.datasets.mot_text import make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, read_cocovid, read_truth
from clmot_qd.evaluation.formats import FORMATS, detect_format, read_predictions, write_results_in
from clmot_qd.evaluation.formats.entries import Entries

JSON_FORMATS = ("bdd100k", "tao", "cocovid")
BOX_FORMATS = ("mot", *JSON_FORMATS)


@pytest.fixture
def truth(tmp_path: Path) -> GroundTruth:
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(annotation()))
    return read_cocovid(path)


def written(name: str, tmp_path: Path, truth: GroundTruth) -> list[dict]:
    path = tmp_path / f"{name}.json"
    FORMATS[name].write(path, truth, tracks())
    return json.loads(path.read_text())


class TestRoundTrip:
    @pytest.mark.parametrize("name", BOX_FORMATS)
    def test_comes_back(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        path = tmp_path / (name if name == "mot" else f"{name}.json")
        FORMATS[name].write(path, truth, tracks())
        assert detect_format(path) == name
        expected = tracks()
        if name == "tao":  # numbered anew, so that no track of two videos has one number
            expected = {"a": shifted(expected["a"], {2: 1}), "b": shifted(expected["b"], {0: 2, 2: 3})}
        assert_same(read_predictions(path, truth), expected, score_digits=6 if name == "mot" else 17)

    def test_bdd100k_as_a_folder(self, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS["bdd100k"].write(tmp_path / "bdd", truth, tracks())
        assert sorted(file.name for file in (tmp_path / "bdd").iterdir()) == ["a.json", "b.json"]
        assert detect_format(tmp_path / "bdd") == "bdd100k"
        assert_same(read_predictions(tmp_path / "bdd", truth), tracks())

    @pytest.mark.parametrize("name", BOX_FORMATS)
    def test_nothing_found(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        empty = make_table([], [], np.empty((0, 4)))
        path = tmp_path / (name if name == "mot" else f"{name}.json")
        FORMATS[name].write(path, truth, {"a": empty, "b": empty})
        assert {key: len(table) for key, table in read_predictions(path, truth).items()} == {"a": 0, "b": 0}

    @pytest.mark.parametrize("name", JSON_FORMATS)
    def test_a_sequence_that_was_not_tracked(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS[name].write(tmp_path / "x.json", truth, {"b": tracks()["b"]})
        found = read_predictions(tmp_path / "x.json", truth, name)
        assert (len(found["a"]), len(found["b"])) == (0, 4)

    @pytest.mark.parametrize("name", ["tao", "cocovid"])
    def test_rows_keep_their_order(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        """Ties between tracks are broken by it."""
        FORMATS[name].write(tmp_path / "x.json", truth, tracks())
        assert read_predictions(tmp_path / "x.json", truth)["b"].frames.tolist() == tracks()["b"].frames.tolist()

    @pytest.mark.parametrize("name", JSON_FORMATS)
    def test_some_sequences_only(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        FORMATS[name].write(tmp_path / "all.json", truth, tracks())
        some = read_truth(truth.source, ["b"])
        assert_same(
            {"b": read_predictions(tmp_path / "all.json", some)["b"]},
            {"b": read_predictions(tmp_path / "all.json", truth)["b"]},
        )
        FORMATS[name].write(tmp_path / "some.json", some, tracks())
        assert len(read_predictions(tmp_path / "some.json", truth)["a"]) == 0

    def test_the_example_round_trips_through_every_format(self, tmp_path: Path, truth: GroundTruth) -> None:
        now = tracks()
        for name in ("cocovid", "bdd100k", "mot", "cocovid"):
            path = tmp_path / (name if name == "mot" else f"{name}.json")
            FORMATS[name].write(path, truth, now)
            now = read_predictions(path, truth)
        assert_same(now, tracks(), score_digits=6)


def shifted(table, numbers: dict[int, int]):
    return make_table(
        table.frames, [numbers[i] for i in table.ids.tolist()], table.bboxes, table.scores, table.class_ids
    )


class TestWhatIsWritten:
    def test_tao_uses_taos_numbers_and_each_track_number_once(self, tmp_path: Path, truth: GroundTruth) -> None:
        entries = written("tao", tmp_path, truth)
        assert all(set(e) == {"image_id", "category_id", "bbox", "score", "track_id", "video_id"} for e in entries)
        of_a = [entry for entry in entries if entry["video_id"] == 600]
        assert [(e["image_id"], e["category_id"], e["track_id"]) for e in of_a] == [(40, 3, 1), (41, 3, 1)]
        of_b = [entry for entry in entries if entry["video_id"] == 500]
        assert [(e["image_id"], e["track_id"]) for e in of_b] == [(301, 3), (303, 2), (301, 2), (303, 3)]
        assert of_b[0]["bbox"] == [10.12345, 20.5, 30.00001, 40.25]
        assert of_b[3]["score"] == float(np.float32(0.3))  # exactly

    def test_cocovid_uses_the_numbers_of_the_file_and_pycocotools_loads_it(
        self, tmp_path: Path, truth: GroundTruth
    ) -> None:
        coco = pytest.importorskip("pycocotools.coco").COCO(truth.source)
        entries = written("cocovid", tmp_path, truth)
        assert [(e["image_id"], e["instance_id"]) for e in entries[:2]] == [(20, 2), (21, 2)]
        loaded = coco.loadRes(str(tmp_path / "cocovid.json"))
        assert len(loaded.getAnnIds()) == 6
        assert sorted(loaded.getImgIds()) == [7, 8, 9, 20, 21]

    def test_bdd100k_lists_every_frame_in_order(self, tmp_path: Path, truth: GroundTruth) -> None:
        frames = written("bdd100k", tmp_path, truth)
        assert [(f["videoName"], f["name"], f["frameIndex"], len(f["labels"])) for f in frames] == [
            ("a", "a-0004.jpg", 4, 1),
            ("a", "a-0009.jpg", 9, 1),
            ("b", "b-0000.jpg", 0, 2),
            ("b", "b-0001.jpg", 1, 0),
            ("b", "b-0002.jpg", 2, 2),
        ]
        label = frames[0]["labels"][0]
        corners = {"x1": 10.12345, "y1": 20.5, "x2": 40.12346, "y2": 60.75}
        assert label == {"id": "2", "category": "car", "score": 0.5, "box2d": corners}

    def test_bdd100ks_own_frame_index_is_kept(self, tmp_path: Path) -> None:
        data = annotation()
        for image in data["images"]:
            image["frame_index"] = 100 + image["frame_id"]
        (tmp_path / "ann.json").write_text(json.dumps(data))
        frames = written("bdd100k", tmp_path, read_cocovid(tmp_path / "ann.json"))
        assert [frame["frameIndex"] for frame in frames] == [104, 109, 100, 101, 102]

    def test_merged_classes_that_the_file_does_not_list(self, tmp_path: Path) -> None:
        """TAO's converter drops them; public result files still name them."""
        data = annotation()
        data["categories"][1]["merged"] = [{"id": 77, "name": "automobile"}, {"id": 1, "name": "pedestrian"}]
        (tmp_path / "ann.json").write_text(json.dumps(data))
        truth = read_cocovid(tmp_path / "ann.json")
        entries = written("tao", tmp_path, truth)
        for entry, number in zip(entries, (77, 3, 1)):
            entry["category_id"] = number
        (tmp_path / "pred.json").write_text(json.dumps(entries))
        found = read_predictions(tmp_path / "pred.json", truth)
        assert found["a"].class_ids.tolist() == [3, 3]
        assert found["b"].class_ids[0] == 1

    def test_without_source_ids_tao_gets_the_files_numbers(self, tmp_path: Path) -> None:
        data = annotation()
        for entry in (*data["images"], *data["videos"]):
            del entry["source_id"]
        (tmp_path / "ann.json").write_text(json.dumps(data))
        entries = written("tao", tmp_path, read_cocovid(tmp_path / "ann.json"))
        assert [(e["image_id"], e["video_id"]) for e in entries[:2]] == [(20, 6), (21, 6)]

    def test_several_formats_at_once(self, tmp_path: Path, truth: GroundTruth) -> None:
        done = write_results_in(tmp_path / "out", ("mot", "tao"), truth, tracks())
        assert done == [tmp_path / "out", tmp_path / "out" / "tao.json"]
        assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt", "tao.json"]

    def test_predictions_without_a_class(self, tmp_path: Path, truth: GroundTruth) -> None:
        """MOT text keeps -1, as its server wants; the other formats name the one class."""
        table = make_table([4], [1], [[1, 2, 3, 4]], [0.5])
        with pytest.raises(InputError, match="a: a prediction has no class; this format needs one of pedestrian, car"):
            write_results_in(tmp_path, "tao", truth, {"a": table})
        write_results_in(tmp_path, ("mot", "cocovid"), truth, {"a": table, "b": table.select([])}, "car")
        assert (tmp_path / "a.txt").read_text() == "4,1,1.00000,2.00000,3.00000,4.00000,0.500000,-1,-1,-1\n"
        assert json.loads((tmp_path / "cocovid.json").read_text())[0]["category_id"] == CATEGORIES["car"]


class TestWhatCannotBeWritten:
    @pytest.mark.parametrize("name", JSON_FORMATS)
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"class_ids": [7]}, "a prediction has class number 7, which .*ann.json does not have"),
            ({"scores": [np.nan]}, "frame 4: a score is not finite"),
            ({"frames": [5]}, "a prediction in frame 5, which .*ann.json does not have"),
        ],
    )
    def test_message(self, name: str, change: dict, message: str, tmp_path: Path, truth: GroundTruth) -> None:
        row = {"frames": [4], "ids": [1], "bboxes": [[1, 2, 3, 4]], "scores": [0.5], "class_ids": [3]} | change
        with pytest.raises(InputError, match=message):
            FORMATS[name].write(tmp_path / "x.json", truth, {"a": make_table(**row)})
        assert sorted(file.name for file in tmp_path.iterdir()) == ["ann.json"]  # nothing half-written

    def test_images_without_a_file_name(self, tmp_path: Path) -> None:
        data = annotation()
        del data["images"][3]["file_name"]
        (tmp_path / "ann.json").write_text(json.dumps(data))
        with pytest.raises(InputError, match=r"ann.json: image 20 has no file_name"):
            FORMATS["bdd100k"].write(tmp_path / "x.json", read_cocovid(tmp_path / "ann.json"), tracks())

    @pytest.mark.parametrize("name", JSON_FORMATS)
    def test_ground_truth_without_images(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        folder = GroundTruth("data/MOT17/train", truth.categories, truth.sequences)
        with pytest.raises(InputError, match=r"data/MOT17/train: this prediction format names images .* CocoVID file"):
            FORMATS[name].write(tmp_path / "x.json", folder, tracks())

    def test_mot_text_is_a_folder(self, tmp_path: Path, truth: GroundTruth) -> None:
        with pytest.raises(InputError, match=r"x.json: MOT text is a folder"):
            FORMATS["mot"].write(tmp_path / "x.json", truth, tracks())

    @pytest.mark.parametrize(
        ("names", "message"), [("xml", "'xml' is unknown; choose from mot, bdd"), ((), "is empty")]
    )
    def test_unknown_format(self, names, message: str, tmp_path: Path, truth: GroundTruth) -> None:
        with pytest.raises(InputError, match=f"out_format:? .*{message}|out_format {message}"):
            write_results_in(tmp_path, names, truth, tracks())


class TestDetection:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("[]", "cocovid"),
            ("[\n]\n", "cocovid"),
            ('{"config": {}, "frames": [{"name": "x", "labels": []}]}', "bdd100k"),
            ('[{"videoName": "v", "name": "x"}]', "bdd100k"),
            ('[{"image_id": 1, "track_id": 1, "instance_id": 2}]', "tao"),
            ('\ufeff[{"instance_id": 2}]', "cocovid"),
        ],
    )
    def test_by_the_first_entry(self, text: str, name: str, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text(text, encoding="utf-8")
        assert detect_format(tmp_path / "x.json") == name

    def test_folders(self, tmp_path: Path) -> None:
        assert detect_format(tmp_path) == "mot"
        (tmp_path / "a.json").write_text("[]")
        assert detect_format(tmp_path) == "bdd100k"
        (tmp_path / "val").mkdir()
        (tmp_path / "val" / "a.txt").write_text("")
        assert detect_format(tmp_path) == "mot"  # metrics.json beside result files

    def test_can_be_forced(self, tmp_path: Path, truth: GroundTruth) -> None:
        written("tao", tmp_path, truth)
        with pytest.raises(InputError, match=r"tao.json: \[0\]: no key 'instance_id'"):
            read_predictions(tmp_path / "tao.json", truth, "cocovid")
        with pytest.raises(InputError, match="'txt' is unknown; choose from mot, bdd100k, tao, cocovid"):
            read_predictions(tmp_path / "tao.json", truth, "txt")

    def test_what_is_no_result_file(self, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text('[{"image_id": 1}]')
        (tmp_path / "x.bin").write_bytes(b"\xff\xfe\x00")
        for name, message in (("x.json", "no format of predictions"), ("x.bin", "no text"), ("no", "cannot be read")):
            with pytest.raises(InputError, match=f"{name}: {message}"):
                detect_format(tmp_path / name)


@pytest.mark.parametrize("as_text", [False, True])
def test_identities_that_a_double_cannot_tell_apart(as_text: bool) -> None:
    ids: list = [2**53 + 1, 2**53, 7, 2**53 + 1, 2**70]
    entries = Entries("x.json", [{"id": str(one) if as_text else one} for one in ids])
    assert entries.identities("id").tolist() == [1, 2, 3, 1, 4]
