"""What the README says can be typed, works; what it names, exists."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import cv2
import numpy as np
from locations import REPOSITORY
from tiny_data import shrink, write_tiny_data

from clmot_qd.apis.inferencer import TrackingInferencer
from clmot_qd.apis.running import build_runner, find_config, load_config
from clmot_qd.trackers import JDETracker

README = (REPOSITORY / "README.md").read_text()


def python_block(first_words: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    return next(block for block in blocks if first_words in block)


def test_every_configuration_in_the_table_exists() -> None:
    table = README[README.index("## Configurations") :]
    names = [name for cell in re.findall(r"^\| (.*?) \|", table, flags=re.M) for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) > 8
    for name in names:
        parts = [part.split(",") for part in re.split(r"[{}]", name)]
        for variant in itertools.product(*parts):
            find_config("".join(variant))


def test_every_link_of_the_readme_and_the_docs_leads_somewhere() -> None:
    for page in [
        REPOSITORY / "README.md",
        *(REPOSITORY / "docs").glob("*.md"),
        *REPOSITORY.glob("configs/*/README.md"),
    ]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_configuration_for_own_data_trains_and_tracks(tmp_path: Path) -> None:
    (tmp_path / "my_tracker.py").write_text(python_block("my_tracker.py"))
    config = load_config(str(tmp_path / "my_tracker.py"))
    assert config.train_dataloader.dataset.ann_file == "train.json"
    config.train_dataloader.dataset.metainfo.classes = ("pedestrian",)
    shrink(config, write_tiny_data(tmp_path))
    config.work_dir = str(tmp_path / "run")
    config.train_cfg.max_epochs = 1
    build_runner(config).train()
    config.dump(tmp_path / "tiny.py")
    checkpoint = tmp_path / "run" / "epoch_1.pth"
    tracking = TrackingInferencer(str(tmp_path / "tiny.py"), checkpoint, "cpu")
    assert tracking.classes == ("pedestrian",), "what the checkpoint was trained on"
    assert len(list(tracking.stream(str(tmp_path / "img" / "clip-1")))) == 2


def test_the_lines_on_the_tracker_alone_run() -> None:
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 50, (3, 2))
    bboxes = np.concatenate([boxes, boxes + 20], 1)
    detections = [(bboxes + i, np.full(3, 0.9), np.zeros(3, int), np.eye(3)) for i in range(4)]
    scope = {"detections": detections}
    exec(python_block("JDETracker("), scope)
    assert isinstance(scope["tracker"], JDETracker)
    assert scope["tracks"].instances_id.tolist() == [1, 2, 3]


def test_the_picture_is_there_and_not_huge() -> None:
    path = REPOSITORY / "docs" / "images" / "demo.jpg"
    assert cv2.imread(str(path)) is not None
    assert path.stat().st_size < 500_000
