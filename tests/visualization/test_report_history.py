"""Logs of a run: curves, resumed runs, logs that are being written; and what a run's folder holds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clmot_qd.errors import InputError
from clmot_qd.visualization.report import figures
from clmot_qd.visualization.report.figures import shown_scores, training_curves
from clmot_qd.visualization.report.history import read_history
from clmot_qd.visualization.report.run_folder import find_run


def write_log(run: Path, stamp: str, records: list[dict], rest: str = "") -> Path:
    path = run / stamp / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records) + rest)
    return path


def train(step: int, loss: float, epoch: int = 1) -> dict:
    return dict(lr=0.1, data_time=0.5, loss=loss, loss_embed=loss / 2, time=1.0, epoch=epoch, iter=step, step=step)


def test_a_resumed_run_is_one_curve(tmp_path: Path) -> None:
    first = [train(10, 5.0), train(20, 4.0), {"track/HOTA": 30.0, "step": 1}, train(30, 3.5, 2), train(40, 9.0, 2)]
    write_log(tmp_path, "20260102_000000", first)
    write_log(tmp_path, "20260103_000000", [train(30, 3.0, 2), train(40, 2.5, 2), {"track/HOTA": 35.0, "step": 2}])
    history = read_history(find_run(tmp_path).logs)
    assert (history.train["loss"].steps, history.train["loss"].values) == ([10, 20, 30, 40], [5.0, 4.0, 3.0, 2.5])
    assert (history.scores["track/HOTA"].steps, history.scores["track/HOTA"].values) == ([20, 40], [30.0, 35.0])
    assert (history.starts, history.last_epoch, history.last_iteration) == ([30], 2, 40)
    assert list(history.losses()) == ["loss", "loss_embed"]
    assert "time" not in history.train
    assert find_run(tmp_path).started() == "2026-01-02 00:00"


def test_a_run_that_starts_anew_replaces_the_old_one(tmp_path: Path) -> None:
    write_log(tmp_path, "20260102_000000", [train(10, 5.0), train(20, 4.0), {"track/HOTA": 30.0, "step": 1}])
    write_log(tmp_path, "20260103_000000", [train(10, 7.0)])
    history = read_history(find_run(tmp_path).logs)
    assert history.train["loss"].values == [7.0]
    assert history.scores["track/HOTA"].values == []
    assert shown_scores(history) == {}
    picture = training_curves(history)
    assert picture is not None
    assert "loss 7 to 7" in picture.alt


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    write_log(tmp_path, "20260102_000000", [train(10, 5.0)], '{"loss": 3.0, "it')
    assert read_history(find_run(tmp_path).logs).train["loss"].values == [5.0]


@pytest.mark.parametrize("broken", ['{"loss": 3.0, "it\n', "[1, 2]\n"])
def test_a_broken_line_is_named(tmp_path: Path, broken: str) -> None:
    log = write_log(tmp_path, "20260102_000000", [train(10, 5.0)], broken + json.dumps(train(20, 1.0)))
    with pytest.raises(InputError, match=rf"{log}, line 2: .* remove the line"):
        read_history(find_run(tmp_path).logs)


def test_plain_scores_come_first(tmp_path: Path) -> None:
    scores = {"track/IDF1": 50.0, "track/HOTA": 40.0, "track/motmetrics/HOTA": 1.0, "track/LocA": 2.0, "step": 1}
    write_log(tmp_path, "20260102_000000", [train(10, 5.0), scores])
    shown = shown_scores(read_history(find_run(tmp_path).logs))
    assert {name: curve.values for name, curve in shown.items()} == {"HOTA": [40.0], "IDF1": [50.0]}


def test_names_in_drawings_are_no_formulas_and_no_secrets() -> None:
    assert figures._label("_a$b$") == r" _a\$b\$"
    assert len(figures._label("x" * 99)) < 40


def test_other_scores_are_better_than_none(tmp_path: Path) -> None:
    write_log(tmp_path, "20260102_000000", [train(10, 5.0), {"coco/bbox_mAP": 0.5, "time": 3.0, "step": 1}])
    assert list(shown_scores(read_history(find_run(tmp_path).logs))) == ["bbox_mAP"]


def test_the_last_checkpoint(tmp_path: Path) -> None:
    for name in ("epoch_4.pth", "epoch_12.pth", "best.pth"):
        (tmp_path / name).write_bytes(b"")
    assert find_run(tmp_path).checkpoint == tmp_path / "epoch_12.pth"
    (tmp_path / "last_checkpoint").write_text("/somewhere/else/epoch_4.pth")  # the folder has moved since
    assert find_run(tmp_path).checkpoint == tmp_path / "epoch_4.pth"
    (tmp_path / "last_checkpoint").write_text("/gone/epoch_7.pth")
    assert find_run(tmp_path).checkpoint == tmp_path / "epoch_12.pth"


def test_a_checkpoint_of_any_name_is_better_than_none(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"")
    assert find_run(tmp_path).checkpoint == tmp_path / "weights.pth"


def test_the_newest_configuration(tmp_path: Path) -> None:
    for age, name in ((100, "old.py"), (50, "new.py")):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (10_000 - age, 10_000 - age))
    assert find_run(tmp_path).config == tmp_path / "new.py"


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run: no configuration"):
        find_run(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_run(tmp_path / "nowhere")
