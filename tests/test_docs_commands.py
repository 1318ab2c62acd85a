"""Every command of the documentation runs as it is typed, or says what it needs and is understood by its tool."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from docs_commands import caller, check_checkpoint, check_config, parse
from docs_pages import PAGES, Block, all_blocks, blocks_of, commands_of

from clmot_qd.datasets.demo_scenes import DemoSettings, make_demo_data

SCENARIOS = ("", "demo")
CONFIG = "clmot_tiny_demo"
# Pages whose commands run within seconds; the others are left to the slow part.
QUICK = ("get_started.md",)

BASH = all_blocks("bash")
PAGES_THAT_RUN = [page for page in PAGES if any(block.kind == "run" for block in blocks_of(page))]


def place(block: Block) -> str:
    return block.place


@pytest.mark.parametrize("block", BASH, ids=place)
def test_every_block_of_commands_has_a_marker(block: Block) -> None:
    assert block.kind, f"{block.place}: write <!-- run: demo --> or <!-- needs: WHAT --> on the line above"
    assert block.kind == "run" or block.what, f"{block.place}: <!-- needs: --> does not say what"


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


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``tools/demo.sh`` leaves, but small: drawn data, weights, a video."""
    folder = tmp_path_factory.mktemp("docs-demo")
    settings = DemoSettings(train_sequences=3, train_frames=8, test_sequences=2, test_frames=12, figures=6, speed=0.5)
    make_demo_data(folder / "demo_out" / "data", settings)
    for name in ("run", f"{CONFIG}-seed0"):
        (folder / "demo_out" / name).mkdir()
        write_weights(folder / "demo_out" / name / "final.pth")
    write_video(folder / "demo_out" / "data" / "test" / "DEMO-test-01" / "img1", folder / "street.mp4")
    return folder


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
