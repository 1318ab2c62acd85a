"""The runtime without torch, and what it says of wrong files and arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lively import moving_frames

from clmot_qd.apis.onnx_inferencer import OnnxTrackingInferencer, build_tracker
from clmot_qd.apis.tracking_session import FrameDetections
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError
from clmot_qd.export.metadata import FileSettings
from clmot_qd.export.parity import compare

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")

# Everything the package depends on but numpy, scipy, OpenCV and ONNX Runtime.
BLOCKED = (
    "torch torchvision mmdet mmcv mmengine onnx av rich matplotlib PIL supervision pycocotools trackeval motmetrics lap"
)
ALONE = f"""
import sys
sys.modules.update(dict.fromkeys({BLOCKED!r}.split()))
import numpy as np
from clmot_qd.apis import OnnxTrackingInferencer

path, frames, out = sys.argv[1:]
frames = list(np.load(frames))
tracking = OnnxTrackingInferencer(path, threads=1)
ids = [tuple(map(int, tracks.instances_id)) for tracks in tracking.stream(frames)]
written = tracking.track(frames, out, outputs=("mot",))
print(ids)
print([path.name for path in written])
loaded = [name for name in {BLOCKED!r}.split() if sys.modules.get(name)]
assert not loaded, loaded
"""


def test_tracks_from_arrays_to_files_without_torch(pair: Any, tmp_path: Path) -> None:
    _, path = pair
    frames = moving_frames(4)
    np.save(tmp_path / "frames.npy", np.stack(frames))
    command = [sys.executable, "-c", ALONE, str(path), str(tmp_path / "frames.npy"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    ids, names = done.stdout.splitlines()
    here = [tuple(map(int, tracks.instances_id)) for tracks in OnnxTrackingInferencer(path, threads=1).stream(frames)]
    assert ids == str(here)
    assert any(here)
    assert names == "['tracks.txt']"
    assert len(read_tracks(tmp_path / "out" / "tracks.txt")) == sum(map(len, here))


def test_arguments_of_the_tracker_can_be_changed(pair: Any) -> None:
    _, path = pair
    own = OnnxTrackingInferencer(path).tracker
    kind = type(own).__name__
    key = "conf_thr" if kind == "JDETracker" else "init_score_thr"
    changed = OnnxTrackingInferencer(path, tracker={key: 0.97}).tracker
    assert type(changed) is type(own)
    assert {name for name in vars(own) if repr(getattr(own, name)) != repr(getattr(changed, name))} >= {key}
    other = OnnxTrackingInferencer(path, tracker=dict(type="TAOBiSoftmaxTracker")).tracker
    assert type(other).__name__ == "TAOBiSoftmaxTracker"


def test_filters_by_class_and_score(pair: Any) -> None:
    _, path = pair
    frames = moving_frames(2)
    every = OnnxTrackingInferencer(path, threads=1)
    list(every.stream(frames))
    assert every.detections is not None
    limit = float(np.median(every.detections.scores))
    best = OnnxTrackingInferencer(path, threads=1, score_thr=limit, keep_classes=["car"])
    for tracks in best.stream(frames):
        assert (tracks.labels == 1).all()
    assert best.detections is not None
    assert 0 < len(best.detections) < len(every.detections)
    assert best.classes == ("person", "car", "bus")


def damaged(path: Path, target: Path, key: str, value: str | None) -> Path:
    """The same file with one of its settings changed, or without it."""
    model = onnx.load(path)
    kept = [entry for entry in model.metadata_props if entry.key != key]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    if value is not None:
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, target)
    return target


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("clmot_qd.format", None, "not one of tools/export_onnx.py"),
        ("clmot_qd.format", "99", "written in format 99, this version reads 1; update"),
        ("clmot_qd.classes", None, "its settings are damaged"),
        ("clmot_qd.preprocess", '{"resize": "fold", "scale": [1, 1]}', "its settings are damaged"),
        ("clmot_qd.tracker", "[", "its settings are damaged"),
    ],
)
def test_files_with_other_settings(pair: Any, tmp_path: Path, key: str, value: str | None, said: str) -> None:
    target = damaged(pair[1], tmp_path / "m.onnx", key, value)
    with pytest.raises(InputError, match=said) as told:
        OnnxTrackingInferencer(target)
    assert str(told.value).startswith(str(target))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("content", "said"), [(None, "no such file"), (b"", "cannot load"), (b"what?", "cannot load")])
def test_files_that_are_no_onnx(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as told:
        OnnxTrackingInferencer(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (dict(providers=["NoSuchProvider"]), "this onnxruntime has no NoSuchProvider, it has .*CPUExecutionProvider"),
        (dict(threads=0), "threads = 0"),
        (dict(tracker=dict(type="ByteTracker")), "'ByteTracker' is not one of"),
        (dict(tracker=dict(no_such=1)), "tracker: .*no_such"),
        (dict(keep_classes=["horse"]), "horse"),
    ],
)
def test_wrong_arguments(pair: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        OnnxTrackingInferencer(pair[1], **arguments)


def test_a_missing_runtime_is_named(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="pip install onnxruntime"):
        OnnxTrackingInferencer(pair[1])


def test_trackers_are_built_from_settings() -> None:
    assert build_tracker(dict(type="JDETracker", conf_thr=0.7)).conf_thr == 0.7
    with pytest.raises(InputError, match="None is not one of"):
        build_tracker({})


def test_settings_survive_the_file(pair: Any) -> None:
    settings = OnnxTrackingInferencer(pair[1]).detector.settings
    assert FileSettings.from_properties("x", settings.as_properties()) == settings


def found(bboxes: list[list[float]], scores: list[float], labels: list[int]) -> FrameDetections:
    embeds = np.arange(2.0 * len(scores)).reshape(-1, 2)
    return FrameDetections(np.array(bboxes, dtype=float).reshape(-1, 4), np.array(scores), np.array(labels), embeds)


def test_comparison_sees_what_differs() -> None:
    one = found([[0, 0, 9, 9], [20, 0, 30, 9]], [0.9, 0.8], [0, 1])
    assert compare([(one, one)]).close
    assert compare([(one, one.select(np.array([1, 0])))]).close
    other_label = found([[0, 0, 9, 9], [20, 0, 30, 9]], [0.9, 0.8], [0, 0])
    assert compare([(one, other_label)]).unmatched == 2
    assert compare([(one, other_label)]).wrong
    moved = found([[0, 0, 9, 9.001], [20, 0, 30, 9]], [0.9, 0.8], [0, 1])
    parity = compare([(one, one), (one, moved)])
    assert parity.boxes == pytest.approx(1e-3)
    assert not parity.close
    assert not parity.wrong
    assert parity.detections == 4
    assert compare([(one, one.select(np.array([0])))]).unmatched == 1
    assert compare([]).close
