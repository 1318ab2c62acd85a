"""Cache files: what is written comes back, several models are not mixed, damaged files are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clmot_qd.datasets.detections import CacheFolder, VideoDetections, read_cache, read_detection_file, write_cache
from clmot_qd.datasets.detections.cache_files import cache_path, read_identity
from clmot_qd.errors import InputError

RNG = np.random.default_rng(0)
FOUND = VideoDetections(
    frames=np.array([3, 3, 7]),
    bboxes=RNG.uniform(0, 900, (3, 4)).astype(np.float32),
    scores=RNG.random(3).astype(np.float32),
    labels=np.array([1, 0, 1]),
    embeds=RNG.normal(size=(3, 5)).astype(np.float32),
    numbers=np.array([3, 5, 7, 9]),
)
CLASSES = ("person", "car")


def test_round_trip(tmp_path: Path) -> None:
    other = RNG.normal(size=(3, 2)).astype(np.float32)
    path = write_cache(tmp_path / "new", "a", FOUND, CLASSES, {"model": "M"}, {"random0": other})
    name, classes, back = read_cache(path)
    assert (name, classes) == ("a", CLASSES)
    for key in ("frames", "bboxes", "scores", "labels", "embeds", "numbers"):
        np.testing.assert_array_equal(getattr(back, key), getattr(FOUND, key), err_msg=key)
    np.testing.assert_array_equal(read_cache(path, "random0")[2].embeds, other)
    assert read_identity(path) == ({"model": "M"}, ("", "random0"))
    with pytest.raises(InputError, match=r"a\.npz: has no random1 embeddings"):
        read_cache(path, "random1")


def test_half_precision(tmp_path: Path) -> None:
    whole, half = (write_cache(tmp_path / f"{h}", "a", FOUND, CLASSES, {}, half=h) for h in (False, True))
    with np.load(half) as arrays:
        assert arrays["embeds"].dtype == np.float16
    assert read_cache(half)[2].embeds.dtype == np.float32
    np.testing.assert_allclose(read_cache(half)[2].embeds, read_cache(whole)[2].embeds, atol=2e-3)


def test_a_folder_reads_a_video_when_it_is_asked_for(tmp_path: Path) -> None:
    for name in ("clip-10", "clip-2", "train/deep one"):
        write_cache(tmp_path, name, FOUND, CLASSES, {"model": "M"})
    assert cache_path(tmp_path, "train/deep one").name == "train%2Fdeep one.npz"
    folder = CacheFolder(tmp_path)
    assert list(folder) == ["clip-2", "clip-10", "train/deep one"]
    assert (folder.classes, folder.identity, len(folder)) == (CLASSES, {"model": "M"}, 3)
    cache_path(tmp_path, "clip-2").write_bytes(b"gone")
    assert "clip-2" in folder
    assert len(folder["clip-10"]) == 3
    with pytest.raises(InputError, match=r"clip-2\.npz: not a whole cache file .*; remove it and make it again"):
        folder["clip-2"]


def test_other_readers_take_it(tmp_path: Path) -> None:
    path = write_cache(tmp_path, "a", FOUND, CLASSES, {})
    for source in (path, tmp_path):
        found = read_detection_file(source)
        assert (found.classes, list(found.videos)) == (CLASSES, ["a"])
        assert found.videos["a"].all_frames().tolist() == [3, 5, 7, 9]
    with pytest.raises(InputError, match="a cache has its own embeddings and frame numbers"):
        read_detection_file(path, tmp_path / "e.npy")
    with pytest.raises(InputError, match="a cache has its own embeddings and frame numbers"):
        read_detection_file(path, frame_offset=1)


@pytest.mark.parametrize("change", [dict(identity={"model": "N"}), dict(classes=("car", "person"))])
def test_two_models_are_not_mixed(tmp_path: Path, change: dict) -> None:
    usual = dict(classes=CLASSES, identity={"model": "M"})
    write_cache(tmp_path, "a", FOUND, **usual)
    write_cache(tmp_path, "b", FOUND, **{**usual, **change})
    with pytest.raises(InputError, match=r"b\.npz: made by another model or configuration than a\.npz"):
        CacheFolder(tmp_path)


def test_what_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.npz files in here; make them with tools/cache_detections\.py"):
        CacheFolder(tmp_path)
    np.savez(tmp_path / "a.npz", frames=np.ones(3))
    with pytest.raises(InputError, match=r"a\.npz: no cache of detections, it has no array 'bboxes'"):
        read_cache(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", frames=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"a\.npz: "):
        CacheFolder(tmp_path)
    with pytest.raises(InputError, match=r"b\.npz: not a whole cache file"):
        read_cache(tmp_path / "b.npz")
