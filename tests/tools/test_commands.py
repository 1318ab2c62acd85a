"""The commands as a user types them: in processes of their own, with exit codes and one-line messages."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import mmdet
import pytest
import torch
from locations import REPOSITORY
from tiny_data import shrink, write_tiny_data

from clmot_qd.checkpoints import read_state_dict
from clmot_qd.errors import InputError

TOOLS = sorted(path.stem for path in (REPOSITORY / "tools").glob("*.py"))


def command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False)


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tool_{name}", REPOSITORY / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", TOOLS)
def test_help_answers_without_loading_the_package(name: str) -> None:
    script = str(REPOSITORY / "tools" / f"{name}.py")
    watch = "import runpy, sys; sys.argv = sys.argv[1:]\ntry: runpy.run_path(sys.argv[0], run_name='__main__')\n"
    watch += "except SystemExit as stop: print('CODE', stop.code)\nprint('LOADED', 'torch' in sys.modules)"
    result = command("-c", watch, script, "--help")
    assert "usage:" in result.stdout
    assert "CODE 0" in result.stdout
    assert "LOADED False" in result.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small project: data, configuration."""
    from clmot_qd.apis.running import load_config

    folder = tmp_path_factory.mktemp("project")
    config = shrink(load_config("clmot_tiny_demo"), write_tiny_data(folder))
    config.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1, val_interval=1)
    config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=2)
    config.dump(folder / "project.py")
    return folder


def named_run(name: str) -> str:
    """An option: runs of one name that start in the same second write into one log file."""
    return f"experiment_name={name}"


@pytest.fixture(scope="module")
def trained(project: Path) -> Path:
    tool("train").main([str(project / "project.py"), "--work-dir", str(project / "run")])
    return project / "run" / "epoch_1.pth"


def test_train_test_and_track_one_after_the_other(project: Path, trained: Path, tmp_path: Path) -> None:
    config = str(project / "project.py")
    tool("test").main([config, str(trained), "--work-dir", str(tmp_path), "--out-dir", str(tmp_path / "results")])
    assert {p.name for p in (tmp_path / "results").iterdir()} == {"clip-1.txt", "clip-2.txt", "metrics.json"}
    clip = str(project / "img" / "clip-1")
    tool("track_video").main(
        [clip, "--config", config, "--checkpoint", str(trained), "--out-dir", str(tmp_path / "out")]
    )
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"tracks.txt", "tracks.mp4", "contact_sheet.png"}


def test_training_goes_on_from_its_last_checkpoint(project: Path, trained: Path) -> None:
    options = ["--cfg-options", "train_cfg.max_epochs=2", named_run("resumed")]
    tool("train").main([str(project / "project.py"), "--work-dir", str(trained.parent), "--resume", *options])
    log = max(trained.parent.glob("*/*.log")).read_text()
    assert (trained.parent / "epoch_2.pth").is_file()
    assert "Epoch(train)  [1]" not in log


def test_a_user_mistake_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    result = command(str(REPOSITORY / "tools" / "train.py"), "no_such_config", cwd=tmp_path)
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: configuration 'no_such_config' is neither a file nor a packaged configuration")
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["load_from=nowhere.pth"], "load_from: no checkpoint file 'nowhere.pth'"),
        (["train_dataloader.dataset.ann_file=/nowhere.json"], "no file '/nowhere.json'"),
        (["train_dataloader.dataset.metainfo.classes=[dragon]"], "dragon"),
        (["model.type=CLMOTT"], "CLMOTT"),
        (["model.loss_embed.margn=1"], "margn"),
        (["model.contrast_average=epoch"], "average"),
        (["train_dataloader.dataset.type=CocoDetectionDatasett"], "CocoDetectionDatasett"),
        (["train_dataloader.dataset.pipeline.0.type=LoadFram"], "LoadFram"),
        (["optim_wrapper.optimizer.type=Adamm"], "unknown optimizer"),
        (["optim_wrapper.optimizer.lrr=1"], "lrr"),
        (["val_evaluator.type=TrackEvalMetrik"], "TrackEvalMetrik"),
        (["oops"], "write KEY=VALUE"),
        (["model.detector.bbox_head.num_classes=2"], r"train_dataloader\.dataset\.metainfo\.classes: names 1 .* is 2"),
        (["val_dataloader.dataset.metainfo.classes=[person,pedestrian]"], r"val_dataloader\.dataset.*names 2 .* is 1"),
        (["train_dataloader=None"], "no key 'train_dataloader'"),
    ],
)
def test_mistakes_in_a_configuration_stop_training_with_a_name(project: Path, options: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tool("train").main([str(project / "project.py"), "--work-dir", str(project / "bad"), "--cfg-options", *options])


@pytest.mark.parametrize("content", [b"hello", None])
def test_training_from_what_is_no_fitting_checkpoint(project: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "foreign.pth"
    if content is None:
        torch.save({"state_dict": {"encoder.weight": torch.zeros(3)}}, path)
    else:
        path.write_bytes(content)
    base = [str(project / "project.py"), "--work-dir", str(tmp_path / "run")]
    with pytest.raises(InputError, match=r"no tensor fits|no checkpoint \(empty\?"):
        tool("train").main([*base, "--cfg-options", f"load_from={path}"])
    message = r"no checkpoint \(empty\?" if content else "without the state of a training run"
    for options in (["--resume", str(path)], ["--cfg-options", "resume=True", f"load_from={path}"]):
        with pytest.raises(InputError, match=rf"foreign\.pth: .*({message})"):
            tool("train").main([*base, *options])


def test_the_first_resume_of_a_run_starts_from_load_from(project: Path, trained: Path, tmp_path: Path) -> None:
    options = ["--resume", "--cfg-options", f"load_from={trained}", "optim_wrapper.optimizer.lr=0.0"]
    tool("train").main([str(project / "project.py"), "--work-dir", str(tmp_path), *options])
    key = "detector.neck.final.merges.0.conv.weight"
    assert torch.equal(read_state_dict(trained)[key], read_state_dict(tmp_path / "epoch_1.pth")[key])


def test_the_checkpoint_that_is_named_is_the_one_that_is_tested(project: Path, trained: Path) -> None:
    options = ["--cfg-options", "resume=True", named_run("tested")]
    tool("test").main([str(project / "project.py"), str(trained), "--work-dir", str(trained.parent), *options])
    log = max(trained.parent.glob("*/*.log")).read_text()
    assert "tensors loaded" in log
    assert "Load checkpoint from" not in log


@pytest.fixture(scope="module")
def public(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained weights under the names of a detector of mmdet, trained on a class of another name."""
    state = {key.removeprefix("detector."): value for key, value in read_state_dict(trained).items()}
    path = tmp_path_factory.mktemp("public") / "public.pth"
    torch.save({"state_dict": state, "meta": {"CLASSES": ("walker",)}}, path)
    return path


def test_training_starts_from_public_weights_as_they_are(project: Path, public: Path, tmp_path: Path) -> None:
    options = ["--cfg-options", f"load_from={public}", "optim_wrapper.optimizer.lr=0.0", named_run("from-public")]
    tool("train").main([str(project / "project.py"), "--work-dir", str(tmp_path), *options])
    given, kept = read_state_dict(public), read_state_dict(tmp_path / "epoch_1.pth")
    learnt = [key for key in given if key.endswith("weight")]  # BatchNorm goes on counting
    assert learnt
    assert all(torch.equal(kept[f"detector.{key}"], given[key]) for key in learnt)
    log = max(tmp_path.glob("*/*.log")).read_text()
    assert "checkpoint: keys of a detector of mmdet renamed" in log  # the runner's own loading
    assert "it was trained on the classes (walker), which are taken for (pedestrian)" in log


def test_public_weights_are_tested_as_they_are(project: Path, public: Path, tmp_path: Path) -> None:
    options = ["--cfg-options", named_run("public-tested")]
    tool("test").main([str(project / "project.py"), str(public), "--work-dir", str(tmp_path), *options])
    log = max(tmp_path.glob("*/*.log")).read_text()
    assert "tensors loaded; keys of a detector of mmdet renamed; it was trained on the classes (walker)" in log


def test_the_stock_command_tests_public_weights_too(project: Path, public: Path, trained: Path, tmp_path: Path) -> None:
    script = Path(mmdet.__file__).parent / ".mim" / "tools" / "test.py"
    if not script.is_file():
        pytest.skip("this installation of mmdet has no packaged tools")
    scores = []
    for number, checkpoint in enumerate((public, trained)):
        work_dir = tmp_path / str(number)
        result = command(str(script), str(project / "project.py"), str(checkpoint), "--work-dir", str(work_dir))
        assert result.returncode == 0, result.stderr
        assert ("checkpoint: keys of a detector of mmdet renamed" in result.stdout + result.stderr) == (number == 0)
        assert "do not match exactly" not in result.stdout + result.stderr
        scores.append(json.loads(next(work_dir.glob("*/*.json")).read_text()))
    assert scores[0]["track/MOTA"] == scores[1]["track/MOTA"]


def test_classes_that_do_not_fit_stop_a_test(project: Path, trained: Path, tmp_path: Path) -> None:
    base = [str(project / "project.py"), str(trained), "--work-dir", str(tmp_path)]
    wrong = ["--cfg-options", "test_dataloader.dataset.metainfo.classes=[pedestrian,person]"]
    with pytest.raises(InputError, match=r"test_dataloader\.dataset\.metainfo\.classes: names 2 .*num_classes is 1"):
        tool("test").main([*base, *wrong])


def test_a_mistyped_path_is_not_answered_by_a_packaged_name() -> None:
    with pytest.raises(InputError, match="no such file"):
        tool("train").main(["typo/clmot_tiny_demo.py"])


def test_results_that_cannot_be_written_stop_before_the_work(project: Path, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    base = [str(project / "project.py"), str(trained), "--work-dir", str(tmp_path / "run")]
    with pytest.raises(InputError, match="cannot be used as a folder"):
        tool("test").main([*base, "--out-dir", str(tmp_path / "file")])
    with pytest.raises(InputError, match="cannot be"):
        tool("train").main([str(project / "project.py"), "--work-dir", str(tmp_path / "file" / "run")])


@pytest.mark.skipif(torch.cuda.is_available(), reason="the option is fine on a GPU")
def test_mixed_precision_without_a_gpu_is_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--amp"):
        tool("train").main([str(project / "project.py"), "--amp", "--work-dir", str(tmp_path)])


def test_testing_without_or_with_a_wrong_checkpoint(project: Path, trained: Path) -> None:
    config = str(project / "project.py")
    with pytest.raises(InputError, match="no checkpoint given"):
        tool("test").main([config])
    wrong = ["--cfg-options", "model.detector.bbox_head.embed_channels=32"]
    with pytest.raises(InputError, match="not a checkpoint of this model"):
        tool("test").main([config, "--checkpoint", str(trained), "--work-dir", str(project / "run2"), *wrong])
