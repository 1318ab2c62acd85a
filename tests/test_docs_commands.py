"""Every command of the documentation runs as it is typed, or says what it needs and is understood by its tool."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from docs_commands import caller, check_checkpoint, check_config, parse
from docs_configs import wrong_types
from docs_pages import PAGES, Block, all_blocks, blocks_of, commands_of
from locations import REPOSITORY

from clmot_qd.datasets.demo_scenes import DemoSettings, make_demo_data

SCENARIOS = ("", "demo")
CONFIG = "clmot_tiny_demo"
# Pages whose commands run within seconds; the others are left to the slow part.
QUICK = ("get_started.md",)

BASH = all_blocks("bash")
PYTHON = all_blocks("python")
PAGES_THAT_RUN = [page for page in PAGES if any(block.kind == "run" for block in blocks_of(page))]


def place(block: Block) -> str:
    return block.place


@pytest.mark.parametrize("block", BASH, ids=place)
def test_every_block_of_commands_has_a_marker(block: Block) -> None:
    assert block.kind, f"{block.place}: write <!-- run: demo --> or <!-- needs: WHAT --> on the line above"
    assert block.kind == "run" or block.what, f"{block.place}: <!-- needs: --> does not say what"


@pytest.mark.parametrize("block", PYTHON, ids=place)
def test_every_block_of_python_has_a_marker_or_a_file_name(block: Block) -> None:
    assert block.kind or block.file_name, (
        f"{block.place}: write <!-- run -->, <!-- run: demo --> or <!-- needs: WHAT --> on the line above, "
        "or the name of its file as the first comment"
    )
    assert block.kind != "needs" or block.what, f"{block.place}: <!-- needs: --> does not say what"


def test_every_scenario_is_known() -> None:
    for block in all_blocks("bash", "python"):
        if block.kind == "run":
            assert block.what in SCENARIOS, f"{block.place}: no scenario {block.what}; there are {SCENARIOS}"


@pytest.mark.parametrize("block", BASH, ids=place)
def test_tools_understand_every_command(block: Block) -> None:
    for command in commands_of(block):
        check_checkpoint(command)
        arguments = parse(command)
        if arguments is not None:
            check_config(arguments, f"{block.place}: {command}")


@pytest.mark.parametrize(
    "command",
    [
        "mim run clmot_qd report run-a run-b --config clmot_tiny_demo clmot_tiny_nope",
        "mim test clmot_qd clmot_tiny_demo.py --cfg-options model.tracker.gate_thrr=50",
        "mim test clmot_qd clmot_tiny_demo.py --cfg-options model.trackr.x=1",
        "mim test clmot_qd clmot_tiny_demo.py --cfg-options model.tracker.gate_thr=5 model.tracker.type=ByteTracker",
        "mim train clmot_qd clmot_tiny_demo.py --cfg-options train_dataloader.batchsize=4",
        "mim train clmot_qd clmot_tiny_demo.py --cfg-options load_form=x.pth",
        "mim train clmot_qd clmot_tiny_demo.py --cfg-options train_dataloader.dataset.pipeline.0.sizes=4",
        "mim run clmot_qd app --model CL=nope,x.pth",
        "mim run clmot_qd app --model clmot_tiny_demo",
        "mim run clmot_qd compare_trackers clmot_tiny_demo x.pth --row jde gate_thr=50 type=Nope",
        "mim run clmot_qd compare_trackers clmot_tiny_demo x.pth --row jde gate_thrr=50",
        "mim run clmot_qd track_detections --det a.txt --out b.txt --option gate_thrr=5",
        "mim run clmot_qd tune_tracker --det a --gt b --out c --config qdtrack_tiny_demo --grid gate_thr=5,6",
    ],
)
def test_what_is_misspelt_is_found(command: str) -> None:
    arguments = parse(command)
    assert arguments is not None
    with pytest.raises(AssertionError, match="mim "):
        check_config(arguments, command)


@pytest.mark.parametrize(
    "command",
    [
        "mim run clmot_qd report run-a run-b --config - clmot_tiny_demo",
        "mim test clmot_qd clmot_tiny_demo.py --cfg-options model.tracker.gate_thr=50 model.tracker.low_conf_thr=0.1",
        "mim train clmot_qd clmot_tiny_demo.py --cfg-options train_dataloader.num_workers=0 load_from=x.pth",
        "mim run clmot_qd app --model CL=clmot_tiny_demo,x.pth",
        "mim run clmot_qd compare_trackers clmot_tiny_demo x.pth --row jde gate_thr=50 --row b type=BiSoftmaxTracker",
    ],
)
def test_what_is_right_passes(command: str) -> None:
    arguments = parse(command)
    assert arguments is not None
    check_config(arguments, command)


@pytest.mark.parametrize("block", PYTHON, ids=place)
def test_types_and_arguments_in_configurations_exist(block: Block) -> None:
    assert not wrong_types(block.text), block.place


def test_a_wrong_type_or_argument_is_found() -> None:
    assert wrong_types('dict(type="JDETrackr")') == ["JDETrackr"]
    assert wrong_types('[dict(x=dict(type="JDETracker", conf_thrr=1, conf_thr=1))]') == ["JDETracker(conf_thrr=)"]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``tools/demo.sh`` leaves, but small: drawn data, weights, result files, a tracked video."""
    folder = tmp_path_factory.mktemp("docs-demo")
    settings = DemoSettings(train_sequences=3, train_frames=8, test_sequences=2, test_frames=12, figures=6, speed=0.5)
    data, run_dir = folder / "demo_out" / "data", folder / "demo_out" / f"{CONFIG}-seed0"
    make_demo_data(data, settings)
    for made in (run_dir, folder / "demo_out" / "results", folder / "demo_out" / "tracked"):
        made.mkdir()
    write_weights(run_dir / "final.pth")
    write_video(data / "test" / "DEMO-test-01" / "img1", folder / "demo_out" / "tracked" / "tracks.mp4")
    for truth in sorted(data.glob("test/*/gt/gt.txt")):
        rows = "".join(f"{','.join(row.split(',')[:6])},0.9,-1,-1,-1\n" for row in truth.read_text().splitlines())
        (folder / "demo_out" / "results" / f"{truth.parents[1].name}.txt").write_text(rows)
    return folder


def test_the_demo_leaves_what_the_pages_use(demo: Path) -> None:
    """Nothing lies in the folder that ``tools/demo.sh`` would not have written there."""
    script = (REPOSITORY / "tools" / "demo.sh").read_text()
    defaults = dict(re.findall(r"^(\w+)=\$\{\w+:-(\w+)\}$", script, flags=re.M))
    for name in ("run", *defaults):
        value = defaults.get(name) or re.search(rf'^{name}="(.*)"$', script, flags=re.M)[1]
        script = script.replace(f"${name}", value)
    for path in demo.rglob("*"):
        inside = path.relative_to(demo)
        if path.is_file() and inside.parts[1] not in ("data", "results"):
            assert f'"{inside}"' in script, f"the demo does not write {inside}"
    assert '--out "demo_out/data"' in script
    assert '--out-dir "demo_out/results"' in script
    assert {path.name for path in demo.iterdir()} == {"demo_out"}


def write_weights(path: Path) -> None:
    """Weights that have learned nothing and find something all over the picture, of the size of a person."""
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from clmot_qd.apis.running import load_config

    torch.manual_seed(0)
    init_default_scope("mmdet")
    model = MODELS.build(load_config(CONFIG).model)
    model.init_weights()
    head = model.detector.bbox_head
    with torch.no_grad():
        head.heatmap_head[-1].bias.fill_(0.5)
        head.wh_head[-1].bias.copy_(torch.tensor([8.0, 18.0]))  # cells of four pixels
    torch.save({"state_dict": model.state_dict(), "meta": {"dataset_meta": {"classes": ("pedestrian",)}}}, path)


def write_video(frames: Path, path: Path) -> None:
    pictures = [cv2.imread(str(name)) for name in sorted(frames.iterdir())]
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 4, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()


@pytest.mark.parametrize(
    "page",
    [page if page.name in QUICK else pytest.param(page, marks=pytest.mark.slow) for page in PAGES_THAT_RUN],
    ids=str,
)
def test_what_a_page_says_can_be_typed(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [block for block in blocks_of(page) if block.kind == "run" or (block.file_name and not block.kind)]
    if any(block.what == "demo" for block in blocks):
        shutil.copytree(request.getfixturevalue("demo"), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for block in blocks:
        run(block)


def run(block: Block) -> None:
    """Do what the reader does with a block: write the file, run the lines, type the commands."""
    before = Path.cwd()
    try:
        if block.file_name:
            Path(block.file_name).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})
        else:
            for command in commands_of(block):
                assert caller(command)() in (0, None), command
    except BaseException as error:
        raise AssertionError(f"{block.place}: {type(error).__name__}: {error}") from error
    finally:
        os.chdir(before)


def test_files_that_get_started_names_are_written(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    page = next(page for page in PAGES if page.name == "get_started.md")
    run(next(block for block in blocks_of(page) if "track_video" in block.text and block.kind == "run"))
    assert {path.name for path in Path("tracked").iterdir()} == {"tracks.mp4", "tracks.txt", "contact_sheet.png"}
    assert Path("tracked/tracks.txt").read_text().count("\n") > 10
