"""LoadPublicDetections: the boxes of det.txt reach the frames they belong to, in original pixels, and the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import PackTrackInputs
from mmdet.structures import DetDataSample, TrackDataSample

from clmot_qd.datasets.detections import read_detection_file, write_cache
from clmot_qd.datasets.transforms import Letterbox, LoadPublicDetections
from clmot_qd.errors import InputError
from clmot_qd.geometry import boxes_to_network, scaling_of

ROWS = """2,-1,10,20,30,40,0.9
1,-1,1.5,2.5,10,20,0.2
2,-1,0,0,5,5,-0.3
4,-1,50,60,7,8,0.5
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "clip", ROWS)
    return tmp_path


def write(root: Path, video: str, rows: str) -> None:
    (root / video / "det").mkdir(parents=True)
    (root / video / "det" / "det.txt").write_text(rows)


def boxes_of(step: LoadPublicDetections, *metas: dict[str, Any]) -> list[list[list[float]]]:
    sample = TrackDataSample()
    sample.video_data_samples = [DetDataSample(metainfo=meta) for meta in metas]
    packed = step({"inputs": None, "data_samples": sample})
    return [frame.proposals.bboxes.tolist() for frame in packed["data_samples"].video_data_samples]


def frame(number: int, video: str = "clip", **more: Any) -> dict[str, Any]:
    """Of a second half: its frames count from 0 in the annotation file, and go on in det.txt."""
    return dict(video_name=video, frame_id=number + 50, mot_frame_id=number, **more)


def test_each_frame_gets_its_rows_as_corners(root: Path) -> None:
    found = boxes_of(LoadPublicDetections(str(root)), frame(1), frame(2), frame(3), frame(4))
    assert found[0] == [[1.5, 2.5, 11.5, 22.5]]
    assert found[1] == [[10, 20, 40, 60], [0, 0, 5, 5]]  # in the order of the file
    assert found[2] == []
    assert found[3] == [[50, 60, 57, 68]]


def test_a_frame_without_boxes_has_an_empty_table(root: Path) -> None:
    sample = TrackDataSample()
    sample.video_data_samples = [DetDataSample(metainfo=frame(3))]
    packed = LoadPublicDetections(root)({"data_samples": sample})
    boxes = packed["data_samples"][0].proposals.bboxes
    assert boxes.shape == (0, 4)
    assert boxes.dtype == torch.float32


def test_least_score(root: Path) -> None:
    for least, count in ((None, 2), (-0.3, 2), (0.0, 1), (0.9, 1), (0.91, 0)):
        assert len(boxes_of(LoadPublicDetections(str(root), min_score=least), frame(2))[0]) == count, least


@pytest.mark.parametrize(("offset", "expected"), [(1, [10, 20, 40, 60]), (0, [1.5, 2.5, 11.5, 22.5])])
def test_files_without_mot_numbers_count_by_frame_id(root: Path, offset: int, expected: list[float]) -> None:
    step = LoadPublicDetections(str(root), frame_offset=offset)
    assert boxes_of(step, dict(video_name="clip", frame_id=1))[0][0] == expected


def test_videos_are_not_mixed_up_and_read_once(root: Path) -> None:
    step = LoadPublicDetections(str(root))
    for n, name in enumerate(("one", "two", "three")):
        write(root, name, f"1,-1,{n},0,10,10,1\n2,-1,{n},5,10,10,1\n")
        assert boxes_of(step, frame(1, name))[0] == [[n, 0, n + 10, 10]]
        (root / name / "det" / "det.txt").unlink()
        assert boxes_of(step, frame(2, name))[0] == [[n, 5, n + 10, 15]]


@pytest.mark.parametrize(
    ("meta", "rows", "message"),
    [
        (frame(1, "other"), None, r"other/det/det\.txt: no such file: put the public detections"),
        (frame(1, "bad"), "1,-1,2,3,4\n", r"bad/det/det\.txt:1: 5 columns"),
        (frame(1, "none"), "", r"none/det/det\.txt: the file is empty"),
        (dict(frame_id=0), None, "a frame has no video_name.*meta_keys of PackTrackInputs"),
    ],
)
def test_mistakes_are_named_in_one_line(root: Path, meta: dict[str, Any], rows: str | None, message: str) -> None:
    if rows is not None:
        write(root, meta["video_name"], rows)
    with pytest.raises(InputError, match=message) as caught:
        boxes_of(LoadPublicDetections(str(root)), meta)
    assert "\n" not in str(caught.value)


def test_before_packing_is_a_mistake(root: Path) -> None:
    with pytest.raises(InputError, match="put it after PackTrackInputs"):
        LoadPublicDetections(str(root))({"img": [np.zeros((4, 4, 3))]})


def test_boxes_stay_original_whatever_the_pipeline_does_to_the_picture(root: Path) -> None:
    """The model maps them to the network input by the same metas as it maps results back."""
    picture = np.zeros((100, 200, 3), np.uint8)
    results = Letterbox((100, 100))(dict(img=picture, ori_shape=(100, 200), img_shape=(100, 200)))
    results.update(frame(2), img_id=1, video_id=1)
    packed = PackTrackInputs(meta_keys=("pad_param", "video_name", "mot_frame_id"))(
        {k: [v] for k, v in results.items()}
    )
    sample = LoadPublicDetections(str(root))(packed)["data_samples"][0]
    assert sample.proposals.bboxes[0].tolist() == [10, 20, 40, 60]
    network = boxes_to_network(sample.proposals.bboxes, *scaling_of(sample.metainfo))
    assert network[0].tolist() == [5, 35, 20, 55]  # half the size, 25 pixels of margin above


@pytest.mark.parametrize("kind", ["csv", "json", "npz", "pattern"])
def test_other_formats_give_the_same_boxes(root: Path, tmp_path: Path, kind: str) -> None:
    rows = [[float(cell) for cell in line.split(",")] for line in ROWS.split()]
    where: dict[str, Any] = dict(root=tmp_path / "all" / f"found.{kind}", det=None)
    where["root"].parent.mkdir()
    if kind == "csv":
        lines = [f"{r[6]},clip,{r[0]:.0f},{r[2]},{r[3]},{r[4]},{r[5]}" for r in rows]
        where["root"].write_text("\n".join(["score,video,frame,x,y,w,h", *lines, "1,other,1,0,0,9,9"]))
    elif kind == "json":
        entries = [dict(frame=r[0], bbox=r[2:6], score=r[6]) for r in rows]
        where["root"].write_text(json.dumps({"other": [dict(frame=1, bbox=[0, 0, 9, 9], score=1)], "clip": entries}))
    elif kind == "npz":
        table = next(iter(read_detection_file(root / "clip" / "det" / "det.txt").videos.values()))
        for name in ("clip", "other"):
            write_cache(where["root"].parent, name, table, ("pedestrian",), {})
        where["root"] = where["root"].parent
    else:
        (tmp_path / "all" / "clip.txt").write_text(ROWS)
        where = dict(root=tmp_path / "all", det="{video}.txt")
    for number in (1, 2, 3, 4):
        expected = boxes_of(LoadPublicDetections(str(root)), frame(number))
        assert boxes_of(LoadPublicDetections(**where), frame(number)) == expected
    if kind != "pattern":
        with pytest.raises(InputError, match="no video 'nobody'; it has "):
            boxes_of(LoadPublicDetections(**where), frame(1, "nobody"))


def test_a_file_of_several_videos_is_no_file_of_a_sequence(root: Path) -> None:
    (root / "clip" / "det" / "det.csv").write_text("video,frame,x,y,w,h\na,1,0,0,9,9\nb,1,0,0,9,9\n")
    with pytest.raises(InputError, match=r"det\.csv: is about 2 videos; give it as 'root', with det=None"):
        boxes_of(LoadPublicDetections(str(root), det="det/det.csv"), frame(1))


def test_repr_names_the_arguments() -> None:
    arguments = "root='a', min_score=0.3, frame_offset=0, det='b'"
    assert repr(LoadPublicDetections("a", 0.3, 0, "b")) == f"LoadPublicDetections({arguments})"
