"""The commands on result files: formats recognised, converted, scored; real files; mistakes as one line."""

from __future__ import annotations

import copy
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from locations import REPOSITORY
from mask_scene import assert_same_masks, mask_annotation, mask_tracks, read_scene
from result_scene import annotation, assert_same, tracks
from tao_scenes import as_cocovid, random_tao, run_trackeval

from clmot_qd.errors import InputError
from clmot_qd.evaluation import read_cocovid
from clmot_qd.evaluation.formats import FORMATS, read_predictions
from clmot_qd.evaluation.track_map import evaluate_track_map

TOOLS = REPOSITORY / "tools"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tool_{name}", TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ann_file(tmp_path: Path) -> str:
    """The scene with its tracks for ground truth."""
    data = annotation()
    truth = write(tmp_path / "empty.json", data)
    FORMATS["cocovid"].write(tmp_path / "boxes.json", read_cocovid(truth), tracks())
    boxes = json.loads((tmp_path / "boxes.json").read_text())
    data["annotations"] = [{"id": i, **entry} for i, entry in enumerate(boxes, start=1)]
    return str(write(tmp_path / "ann.json", data))


def write(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data))
    return path


class TestEvalTracks:
    @pytest.mark.parametrize("name", ["mot", "bdd100k", "tao", "cocovid"])
    def test_recognises_the_format(self, name: str, ann_file: str, tmp_path: Path, capsys) -> None:
        pred, out = tmp_path / ("pred" if name == "mot" else "pred.json"), tmp_path / "scores.json"
        FORMATS[name].write(pred, read_cocovid(ann_file), tracks())
        options = ["--protocol", "plain", "--backends", "trackeval", "--out", str(out)]
        assert load("eval_tracks").main(["--gt", ann_file, "--pred", str(pred), *options]) == 0
        scores = json.loads(out.read_text())["trackeval"]
        assert scores["car"]["OVERALL"]["IDF1"] == scores["pedestrian"]["OVERALL"]["MOTA"] == pytest.approx(100)
        assert "OVERALL" in capsys.readouterr().out

    @pytest.mark.parametrize("name", ["cocovid", "bdd100k"])
    def test_masks_are_read_to_be_scored(self, name: str, tmp_path: Path, capsys: Any) -> None:
        """With boxes, whatever stands under their key does not matter."""
        made, pred = mask_tracks(), tmp_path / "pred.json"
        data = mask_annotation()
        FORMATS["cocovid"].write(pred, read_scene(tmp_path, data), made)
        data["annotations"] = [{"id": i, **one} for i, one in enumerate(json.loads(pred.read_text()), start=1)]
        truth = read_scene(tmp_path, data)
        FORMATS[name].write(pred, truth, made)
        command = ["--gt", truth.source, "--pred", str(pred), "--protocol", "plain", "--backends", "trackeval"]
        assert load("eval_tracks").main([*command, "--iou-type", "segm"]) == 0
        assert "MOTSA" in capsys.readouterr().out
        pred.write_text(pred.read_text().replace('"counts": "', '"counts": "x', 1))
        assert load("eval_tracks").main(command) == 0
        with pytest.raises(InputError, match="its mask is no list of runs"):
            load("eval_tracks").main([*command, "--iou-type", "segm"])

    def test_forced_format(self, ann_file: str, tmp_path: Path) -> None:
        FORMATS["tao"].write(tmp_path / "pred.json", read_cocovid(ann_file), tracks())
        arguments = ["--gt", ann_file, "--pred", str(tmp_path / "pred.json"), "--pred-format"]
        with pytest.raises(InputError, match=r"pred.json: \[0\]: no key 'instance_id'"):
            load("eval_tracks").main([*arguments, "cocovid"])
        with pytest.raises(InputError, match="'xml' is unknown; choose from mot, bdd100k, tao, cocovid"):
            load("eval_tracks").main([*arguments, "xml"])

    def test_tao(self, tmp_path: Path, capsys) -> None:
        data, found = random_tao(0)
        gt, pred = write(tmp_path / "ann.json", as_cocovid(data)), write(tmp_path / "pred.json", found)
        arguments = ["--gt", str(gt), "--pred", str(pred), "--protocol", "tao"]
        assert load("eval_tracks").main([*arguments, "--out", str(tmp_path / "scores.json")]) == 0
        theirs, _ = run_trackeval(tmp_path, data, found)
        expected = 100 * theirs["COMBINED_SEQ"]["cls_comb_cls_av"]["TrackMAP"]["AP_all"][0]
        assert json.loads((tmp_path / "scores.json").read_text())["track_map"]["overall"]["AP50"] == expected
        printed = capsys.readouterr()
        assert f"{expected:.2f}" in printed.out
        assert "scoring val/set0/v11 (1 of 5)" in printed.err
        with pytest.raises(InputError, match="--iou-thr has no meaning for track mAP; leave it out"):
            load("eval_tracks").main([*arguments, "--iou-thr", "0.5"])

    def test_hota_on_tao_and_track_map_elsewhere(self, tmp_path: Path, ann_file: str, capsys) -> None:
        data, found = random_tao(0)
        gt, pred, out = (
            write(tmp_path / "t.json", as_cocovid(data)),
            write(tmp_path / "p.json", found),
            tmp_path / "o.json",
        )
        arguments = ["--gt", str(gt), "--pred", str(pred), "--protocol", "tao", "--metric", "hota", "--out", str(out)]
        assert load("eval_tracks").main([*arguments, "--backends", "trackeval"]) == 0
        theirs = run_trackeval(tmp_path, data, found)[0]["COMBINED_SEQ"]["cls_comb_det_av"]["CLEAR"]["MOTA"]
        ours = json.loads(out.read_text())["trackeval"]["DETECTION-AVERAGE"]["OVERALL"]["MOTA"]
        assert ours == pytest.approx(100 * theirs)
        FORMATS["cocovid"].write(pred, read_cocovid(ann_file), tracks())
        assert load("eval_tracks").main(["--gt", ann_file, "--pred", str(pred), "--metric", "track-map"]) == 0
        assert "MEAN OF 2" in capsys.readouterr().out


class TestExportTracks:
    def test_through_all_formats(self, ann_file: str, tmp_path: Path, capsys) -> None:
        truth = read_cocovid(ann_file)
        FORMATS["cocovid"].write(tmp_path / "0.json", truth, tracks())
        for source, target, name in (
            ("0.json", "1.json", "bdd100k"),
            ("1.json", "2", "mot"),
            ("2", "3.json", "cocovid"),
        ):
            arguments = ["--gt", ann_file, "--pred", str(tmp_path / source), "--to", name]
            assert load("export_tracks").main([*arguments, "--out", str(tmp_path / target)]) == 0
        assert_same(read_predictions(tmp_path / "3.json", truth), tracks(), score_digits=6)
        assert capsys.readouterr().out.startswith("2 sequences, 3 tracks, 6 boxes written to ")

    def test_masks_through_all_formats(self, tmp_path: Path) -> None:
        truth = read_scene(tmp_path)
        FORMATS["cocovid"].write(tmp_path / "0.json", truth, mask_tracks())
        steps = (("0.json", "1", "mots"), ("1", "2", "bdd100k-bitmasks"), ("2", "3.json", "bdd100k"))
        for source, target, name in steps:
            arguments = ["--gt", truth.source, "--pred", str(tmp_path / source), "--to", name]
            assert load("export_tracks").main([*arguments, "--out", str(tmp_path / target)]) == 0
        assert_same_masks(read_predictions(tmp_path / "3.json", truth, masks=True), mask_tracks())

    def test_forced_format(self, ann_file: str, tmp_path: Path) -> None:
        FORMATS["tao"].write(tmp_path / "tao.json", read_cocovid(ann_file), tracks())
        arguments = [
            "--gt",
            ann_file,
            "--pred",
            str(tmp_path / "tao.json"),
            "--to",
            "mot",
            "--out",
            str(tmp_path / "x"),
        ]
        with pytest.raises(InputError, match=r"tao.json: \[0\]: no key 'instance_id'"):
            load("export_tracks").main([*arguments, "--from", "cocovid"])
        with pytest.raises(InputError, match="--to: 'xml' is unknown"):
            load("export_tracks").main([*arguments, "--to", "xml"])

    def test_mot_text_without_classes(self, ann_file: str, tmp_path: Path) -> None:
        (tmp_path / "mot").mkdir()
        (tmp_path / "mot" / "b.txt").write_text("2,5,1,2,3,4,0.5,-1,-1,-1\n")
        arguments = [
            "--gt",
            ann_file,
            "--pred",
            str(tmp_path / "mot"),
            "--to",
            "tao",
            "--out",
            str(tmp_path / "x.json"),
        ]
        chosen = ["--sequences", "b"]
        with pytest.raises(InputError, match="b: a prediction has no class; this format needs one of pedestrian"):
            load("export_tracks").main([*arguments, *chosen])
        assert not (tmp_path / "x.json").exists()
        assert load("export_tracks").main([*arguments, *chosen, "--class", "car"]) == 0
        (entry,) = json.loads((tmp_path / "x.json").read_text())
        assert (entry["image_id"], entry["category_id"], entry["track_id"]) == (302, 3, 1)

    def test_mistakes_are_one_line_and_help_is_quick(self, ann_file: str, tmp_path: Path) -> None:
        def call(*arguments: str) -> subprocess.CompletedProcess:
            line = [sys.executable, str(TOOLS / "export_tracks.py"), *arguments]
            return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)

        done = call("--gt", ann_file, "--pred", "no.json", "--to", "tao", "--out", "x.json")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith("error: no.json: cannot be read (No such file or directory)")
        assert call("--help").stdout.startswith("usage: export_tracks.py")


class TestRealFiles:
    def test_scalabels_predictions(self, shared_data: Path, tmp_path: Path) -> None:
        """202 frames with 2301 labels, written by the data set's own tools: they come back label by label."""
        source = shared_data / "label-samples" / "scalabel_track_predictions.json"
        frames = json.loads(source.read_text())
        names = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
        data = {"categories": [{"id": i, "name": name} for i, name in enumerate(names, start=1)], "annotations": []}
        data["videos"] = [{"id": 1, "name": frames[0]["videoName"]}]
        data["images"] = [
            {"id": i, "video_id": 1, "frame_id": frame["frameIndex"], "file_name": frame["name"]}
            for i, frame in enumerate(frames, start=1)
        ]
        truth = read_cocovid(write(tmp_path / "ann.json", data))
        found = read_predictions(source, truth)
        assert sum(map(len, found.values())) == 2301
        FORMATS["bdd100k"].write(tmp_path / "out.json", truth, found)
        again = json.loads((tmp_path / "out.json").read_text())
        assert [(frame["name"], frame["frameIndex"]) for frame in again] == [
            (frame["name"], frame["frameIndex"]) for frame in frames
        ]
        for one, two in zip(frames, again):
            for old, new in zip(one["labels"], two["labels"], strict=True):
                assert [old[key] for key in ("id", "category", "score")] == [
                    new[key] for key in ("id", "category", "score")
                ]
                assert old["box2d"] == pytest.approx(new["box2d"], abs=1e-5)

    def test_taos_annotation_scored_against_itself(self, shared_data: Path, tmp_path: Path) -> None:
        data = json.loads((shared_data / "label-samples" / "mmtracking_demo_tao_ann.json").read_text())
        listed = {category["id"] for category in data["categories"]}
        for number in sorted({entry["category_id"] for entry in data["annotations"]} - listed):
            data["categories"].append({"id": number, "name": f"class {number}"})
        found = [{**entry, "score": 0.5} for entry in data["annotations"]]
        theirs, _ = run_trackeval(tmp_path, copy.deepcopy(data), found)
        truth = read_cocovid(write(tmp_path / "ann.json", as_cocovid(data)))
        scores = evaluate_track_map(truth, read_predictions(write(tmp_path / "pred.json", found), truth, "tao"))
        for field, values in theirs["COMBINED_SEQ"]["cls_comb_cls_av"]["TrackMAP"].items():
            assert scores.overall[field].tolist() == values.tolist()
        assert scores.flat()["AP"] == pytest.approx(100)
