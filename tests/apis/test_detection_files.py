"""A tracker over the videos of files: classes, frames, ground truth, and the command for one or many videos."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from clmot_qd.apis.detection_files import find_truth, open_detections, parse_class_map, score_set, scored_classes
from clmot_qd.apis.detections import build_tracker, track_detection_file, track_set
from clmot_qd.datasets.detections import DetectionSet, read_detection_file, write_cache
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, evaluate_tracks, read_mot_root
from clmot_qd.trackers import JDETracker, Tracks

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tool_{name}", TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FRAMES = range(1, 6)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences of two people who stand still, detected everywhere but in the last frame of the second."""
    root = tmp_path / "train"
    for name in ("MOT17-01-FRCNN", "MOT17-01-SDP", "MOT17-02-SDP"):
        for folder in ("gt", "det", "img1"):
            (root / name / folder).mkdir(parents=True)
        rows = [(frame, i, 100 * i) for frame in FRAMES for i in (1, 2)]
        (root / name / "gt" / "gt.txt").write_text("".join(f"{f},{i},{x},20,30,60,1,1,1\n" for f, i, x in rows))
        last = 4 if name == "MOT17-02-SDP" else 5
        found = "".join(f"{f},-1,{x},20,30,60,0.9\n" for f, _, x in reversed(rows) if f <= last)
        (root / name / "det" / "det.txt").write_text(found)
    return root


def cocovid(path: Path) -> Path:
    """The same two sequences of a detector as a CocoVID file with two classes; the second object is a car."""
    videos = [dict(id=n, name=name) for n, name in ((5, "MOT17-01-SDP"), (2, "MOT17-02-SDP"))]
    images = [dict(id=10 * v["id"] + f, video_id=v["id"], frame_id=f - 1) for v in videos for f in FRAMES]
    boxes = [
        dict(image_id=image["id"], category_id=(1, 3)[i - 1], bbox=[100 * i, 20, 30, 60], instance_id=i)
        for image in images
        for i in (1, 2)
    ]
    categories = [dict(id=1, name="pedestrian"), dict(id=3, name="car")]
    annotations = [dict(box, id=n) for n, box in enumerate(boxes, start=1)]
    path.write_text(json.dumps(dict(videos=videos, images=images, annotations=annotations, categories=categories)))
    return path


class Recorder:
    """Shows every detection as a track of its own and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, list[int]]] = []

    def reset(self) -> None:
        self.calls.append((0, 0, []))

    def update(self, bboxes, scores, labels, embeds, frame_id) -> Tracks:
        self.calls.append((frame_id, len(bboxes), labels.tolist()))
        rows = np.arange(len(bboxes))
        return Tracks(rows, bboxes.astype(np.float32), scores.astype(np.float32), labels, rows)


def test_frames_and_videos_are_those_of_the_ground_truth(root: Path) -> None:
    truth = read_mot_root(root, detector="SDP")
    found = open_detections("det/det.txt", root, sequences=["MOT17-02-SDP"])
    tracker = Recorder()
    tracks = track_set(found, tracker, truth)
    assert list(tracks) == ["MOT17-01-SDP", "MOT17-02-SDP"]
    assert len(tracks["MOT17-01-SDP"]) == 0
    assert [(call[0], call[1]) for call in tracker.calls] == [(0, 0), (1, 2), (2, 2), (3, 2), (4, 2), (5, 0)]
    assert set(tracks["MOT17-02-SDP"].class_ids.tolist()) == {-1}


def test_one_by_one_or_all_at_once(root: Path) -> None:
    together = track_set(open_detections("det/det.txt", root), JDETracker())
    for name, tracks in together.items():
        alone = track_detection_file(root / name / "det" / "det.txt", JDETracker())
        assert (tracks.ids.tolist(), tracks.bboxes.tolist()) == (alone.ids.tolist(), alone.bboxes.tolist())


def test_every_tracker(root: Path) -> None:
    options: dict[str, dict] = {
        "JDETracker": {},
        "BiSoftmaxTracker": dict(appearance_weight=0, iou_weight=1),
        "TAOBiSoftmaxTracker": {},
    }
    for name in (path.parent.name for path in root.glob("*/det")):
        rows = len(read_detection_file(root / name / "det" / "det.txt").videos[name])
        np.save(root / name / "det" / "e.npy", np.eye(2)[np.arange(rows) % 2])
    truth = read_mot_root(root, detector="SDP")
    found = open_detections("det/det.txt", root, "det/e.npy", detector="SDP")
    for name, arguments in options.items():
        scores = score_set(
            track_set(found, build_tracker(name, arguments), truth, embed_scale=8), truth, ["pedestrian"]
        )
        assert scores.flat()["IDF1"] > 90, name


def test_classes_get_the_numbers_of_the_annotations(root: Path, tmp_path: Path) -> None:
    rows = [(v, f, 100 * i, ("person", "car")[i - 1]) for v in (1, 2) for f in FRAMES for i in (1, 2)]
    lines = [f"MOT17-0{v}-SDP,{f},{x},20,30,60,1,{c}" for v, f, x, c in rows]
    (tmp_path / "found.csv").write_text("\n".join(["video,frame,x,y,w,h,score,class", *lines]))
    truth = find_truth(cocovid(tmp_path / "ann.json"))
    assert truth is not None
    with pytest.raises(InputError, match=r"class 'person' is none of the annotations' \(pedestrian, car\)"):
        track_set(open_detections(tmp_path / "found.csv"), JDETracker(), truth)
    found = open_detections(tmp_path / "found.csv", keep_classes=["car", "person=pedestrian"])
    classes = scored_classes(found, truth)
    assert classes == ["pedestrian", "car"]
    tracks = track_set(found, JDETracker(), truth)
    assert set(tracks["MOT17-01-SDP"].class_ids.tolist()) == {1, 3}
    scores = score_set(tracks, truth, classes)
    assert [scores.overall("trackeval", name)["IDF1"] for name in classes] == [100, 100]
    swapped = track_set(found.keep_classes({"car": "pedestrian", "pedestrian": "car"}), JDETracker(), truth)
    assert evaluate_tracks(truth, swapped, classes).overall("trackeval", "car")["IDF1"] == 0


def test_coco_results(root: Path, tmp_path: Path) -> None:
    ann = cocovid(tmp_path / "ann.json")
    entries = [
        dict(image_id=10 * v + f, category_id=(1, 3)[i - 1], bbox=[100 * i, 20, 30, 60], score=1)
        for v in (2, 5)
        for f in FRAMES
        for i in (1, 2)
    ]
    (tmp_path / "results.json").write_text(json.dumps(entries))
    found = open_detections(tmp_path / "results.json", annotations=ann)
    assert (sorted(found.videos), found.classes) == (["MOT17-01-SDP", "MOT17-02-SDP"], ("car", "pedestrian"))
    assert sorted(set(found.videos["MOT17-01-SDP"].frames.tolist())) == list(FRAMES)
    out = tmp_path / "out"
    command = ["--det", str(tmp_path / "results.json"), "--gt", str(ann), "--out", str(out)]
    assert tool("track_detections").main(command) == 0
    assert set(read_tracks(out / "MOT17-02-SDP.txt").class_ids.tolist()) == {1, 3}


def test_which_classes_are_scored(root: Path, tmp_path: Path) -> None:
    several = find_truth(cocovid(tmp_path / "ann.json"))
    assert several is not None
    plain, cars = DetectionSet("here", {}), DetectionSet("here", {}, ("car",))
    assert scored_classes(plain, several) == ["pedestrian"]
    told: list[str] = []
    assert scored_classes(cars, several, note=told.append) == ["car"]
    assert told == ["not scored, as there are no detections of them: pedestrian; score them as well with --classes"]
    assert scored_classes(cars, several, ["pedestrian"]) == ["pedestrian"]
    content = json.loads((tmp_path / "ann.json").read_text())
    for box in content["annotations"]:
        box["category_id"] = 3
    (tmp_path / "ann.json").write_text(json.dumps(content))
    only_cars = find_truth(tmp_path / "ann.json")
    assert only_cars is not None
    assert scored_classes(plain, only_cars) == ["car"]
    with pytest.raises(InputError, match=r"here: which class to score is open \(pedestrian against car\); .*--classes"):
        scored_classes(DetectionSet("here", {}, ("pedestrian",)), only_cars)


def test_find_truth(root: Path) -> None:
    assert find_truth(None) is None
    found = find_truth(None, root, ["MOT17-02-SDP"])
    assert found is not None
    assert list(found.sequences) == ["MOT17-02-SDP"]
    for path in root.glob("*/gt/gt.txt"):
        path.unlink()
    assert find_truth(None, root) is None


@pytest.mark.parametrize("text", ["=car", "car=", ""])
def test_wrong_class_maps(text: str) -> None:
    with pytest.raises(InputError, match="write NAME or OLD=NEW"):
        parse_class_map([text])


def test_wrong_arguments(root: Path, tmp_path: Path) -> None:
    truth = read_mot_root(root, detector="SDP")
    with pytest.raises(InputError, match="detector SDP: chooses among the sequences of a root folder"):
        open_detections(root / "MOT17-01-SDP" / "det" / "det.txt", detector="SDP")
    with pytest.raises(InputError, match="no video 'other'; it has MOT17-01-SDP"):
        open_detections(root / "MOT17-01-SDP" / "det" / "det.txt", sequences=["other"])
    with pytest.raises(InputError, match="has no video 'MOT17-01-FRCNN'"):
        track_set(open_detections("det/det.txt", root), JDETracker(), truth)
    with pytest.raises(InputError, match="embed_scale: 8 given without embeddings"):
        track_set(open_detections("det/det.txt", root), JDETracker(), embed_scale=8)
    with pytest.raises(InputError, match="expected a positive number, got -1"):
        track_set(open_detections("det/det.txt", root), JDETracker(), embed_scale=-1)


def test_videos_without_tracks_are_told(root: Path) -> None:
    truth, notes = read_mot_root(root), []
    score_set({}, truth, ["pedestrian"], note=notes.append)
    expected = (
        "no track in 3 of 3 sequences (MOT17-01-FRCNN, MOT17-01-SDP, MOT17-02-SDP): all of their objects are missed"
    )
    assert notes == [expected]
    score_set(track_set(open_detections("det/det.txt", root), JDETracker()), truth, ["pedestrian"], note=notes.append)
    assert len(notes) == 1


class TestCommand:
    def test_a_whole_data_set(self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        command = ["--root", str(root), "--detector", "SDP", "--det", "det/det.txt", "--out", str(tmp_path / "out")]
        assert tool("track_detections").main(command) == 0
        printed = capsys.readouterr()
        assert printed.out.startswith(f"18 boxes of 4 tracks in 2 videos written to {tmp_path / 'out'}\n")
        assert "trackeval: pedestrian" in printed.out
        assert "OVERALL" in printed.out
        assert printed.err == "tracking MOT17-01-SDP (1 of 2)\ntracking MOT17-02-SDP (2 of 2)\n"
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["MOT17-01-SDP.txt", "MOT17-02-SDP.txt"]
        assert len(read_tracks(tmp_path / "out" / "MOT17-02-SDP.txt")) == 8

    def test_without_ground_truth(self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        for path in root.glob("*/gt/gt.txt"):
            path.unlink()
        tool("track_detections").main(["--root", str(root), "--det", "det/det.txt", "--out", str(tmp_path / "out")])
        assert "trackeval" not in capsys.readouterr().out

    def test_a_cache_folder_against_a_folder_of_sequences(
        self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        for name, found in open_detections("det/det.txt", root, detector="SDP").videos.items():
            write_cache(tmp_path / "cache", name, found, ("pedestrian",), {})
        command = ["--det", str(tmp_path / "cache"), "--gt", str(root), "--out", str(tmp_path / "out")]
        tool("track_detections").main([*command, "--sequences", "MOT17-01-SDP", "MOT17-02-SDP"])
        assert capsys.readouterr().out.startswith("18 boxes of 4 tracks in 2 videos")

    def test_one_video_keeps_its_classes_without_ground_truth(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("frame,x,y,w,h,class\n1,1,1,9,9,bus\n1,50,1,9,9,car\n")
        tool("track_detections").main(["--det", str(tmp_path / "a.csv"), "--out", str(tmp_path / "out.txt")])
        assert sorted(read_tracks(tmp_path / "out.txt").class_ids.tolist()) == [1, 2]

    def test_last_frame_is_for_one_video(self, root: Path, tmp_path: Path) -> None:
        command = ["--root", str(root), "--det", "det/det.txt", "--out", str(tmp_path / "out"), "--last-frame", "3"]
        with pytest.raises(InputError, match="--last-frame: is for one video"):
            tool("track_detections").main(command)


def test_a_protocol_of_several_classes_scores_all_of_them() -> None:
    """Its means are over all classes, detected or not."""
    truth = GroundTruth("here", {"car": 1, "pedestrian": 2}, {})
    assert scored_classes(DetectionSet("there", {}, ("car",)), truth, protocol="bdd100k") == [
        *("pedestrian", "rider", "car", "bus", "truck", "train", "motorcycle", "bicycle")
    ]
