"""The commands as each of several processes runs them, for test_distributed_commands.py."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import time
from pathlib import Path
from typing import Any

from locations import REPOSITORY
from tiny_data import shrink, write_tiny_data

CLASSES = ("pedestrian",)


def command(name: str) -> Any:
    """A module of tools/."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepare(folder: Path) -> None:
    """Data, a configuration, and untrained weights that find something."""
    import torch

    from clmot_qd.apis.running import build_runner, load_config

    ann_file = write_tiny_data(folder, videos=3, frames=4)
    config = shrink(load_config("clmot_tiny_demo"), ann_file)
    config.model.detector.test_cfg.score_thr = 0.0
    config.model.detector.test_cfg.topk = 6
    config.model.tracker = dict(type="JDETracker", conf_thr=0.0)
    config.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1, val_interval=1)
    for part in (config.model.detector.backbone, config.model.detector.neck):
        part.norm_cfg = dict(type="GN", num_groups=4)  # BatchNorm would see other pictures in each process
    config.test_evaluator = [
        dict(type="TrackEvalMetric", ann_file=str(ann_file), classes=CLASSES, distractors=()),
        dict(type="TrackMapMetric", ann_file=str(ann_file), classes=CLASSES, prefix="map"),
        dict(type="VideoDetectionMetric", ann_file=str(ann_file), classes=CLASSES),
    ]
    config.dump(folder / "config.py")
    torch.manual_seed(0)
    config.work_dir = str(folder / "building")
    weights = build_runner(config).model.state_dict()
    weights["detector.bbox_head.wh_head.2.bias"] += 5.0  # cells; untrained ones have no area
    torch.save(weights, folder / "weights.pth")


def test_command(rank: int, count: int, out: str) -> None:
    """Of the files that everybody would write each process count has folders of its own."""
    mine = Path(out) / f"tested-{count}"
    mine.mkdir(exist_ok=True)
    formats = "[mot,cocovid,tao]"
    options = [f"test_evaluator.0.out_format={formats}", f"test_evaluator.1.out_dir={mine}/map"]
    options.append(f"test_evaluator.2.out_file={mine}/detection.json")
    arguments = [f"{out}/config.py", f"{out}/weights.pth", "--work-dir", f"{mine}/work", "--out-dir", f"{mine}/tracks"]
    with contextlib.chdir(mine) if hasattr(contextlib, "chdir") else contextlib.nullcontext():
        code = command("test").main([*arguments, *launcher(count), "--cfg-options", *options])
    assert code == 0


def train_command(rank: int, count: int, out: str) -> None:
    """Four pictures in a step, whatever the number of processes."""
    options = ["--cfg-options", f"train_dataloader.batch_size={4 // count}"]
    arguments = [f"{out}/config.py", "--work-dir", f"{out}/trained-{count}", *launcher(count), *options]
    assert command("train").main(arguments) == 0


def launcher(count: int) -> list[str]:
    return ["--launcher", "pytorch" if count > 1 else "none"]


def broken_picture(rank: int, count: int, out: str) -> None:
    """One process meets a picture that is none; what each of them says goes to a file."""
    from clmot_qd.errors import run_command

    picture = Path(out) / "img" / "clip-3" / "000002.png"
    if rank == 0:
        picture.rename(Path(out) / "whole.png")
        picture.write_bytes((Path(out) / "whole.png").read_bytes()[:60])
    arguments = [f"{out}/config.py", f"{out}/weights.pth", "--work-dir", f"{out}/broken"]
    with open(f"{out}/said-{rank}", "w") as said:
        os.dup2(said.fileno(), 2)
    try:
        run_command(lambda: command("test").main([*arguments, *launcher(count)]))
    except SystemExit as end:
        Path(f"{out}/code-{rank}").write_text(str(end.code))


def waited_for(rank: int, count: int, out: str) -> None:
    """Both meet, but one does not come to the next meeting before the other has given up."""
    import torch

    from clmot_qd.apis.processes import joined_processes
    from clmot_qd.errors import InputError
    from clmot_qd.files import write_text

    said = Path(out) / "waited"
    # The patience is that of the first meeting, too, so they begin it together.
    (Path(out) / f"here-{rank}").touch()
    while not (Path(out) / f"here-{1 - rank}").exists():
        time.sleep(0.05)
    try:
        with joined_processes("pytorch", timeout=5 if rank == 0 else None):
            if rank == 0:
                torch.distributed.barrier()
            while not said.exists():
                time.sleep(0.05)
            raise KeyboardInterrupt
    except InputError as error:
        write_text(said, str(error))
    except KeyboardInterrupt:
        pass
