"""Commands of the documentation: which tool they call, whether it understands them, and calling it."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from docs_configs import check_options, check_rows, classes_of_pages, plain
from docs_pages import PAGES, blocks_of
from locations import REPOSITORY

from clmot_qd.apis.detections import require_options
from clmot_qd.app.models import parse_model
from clmot_qd.errors import InputError

# Commands of others, which no test here can check: what follows them is theirs.
FOREIGN = (
    *("pip", "source", "ruff", "ffmpeg", "mypy", "mim download", "mim install", "python -m pytest", "python -c"),
    "python -m mkdocs",
    "mim train mmdet",
    "mim search",
    "tensorboard",
    "apt-get",
    "git",
    "export",
    "cd",
)
LAUNCHERS = ("torchrun", "srun")
# What mim keeps for itself.
OF_MIM = ("--gpus", "--gpus-per-node", "--partition")
PLACEHOLDERS = ("CONFIG", "CONFIG.py", "NAME.py", "RUN_DIR")


@functools.cache
def tool(name: str) -> ModuleType:
    """The module of a command."""
    path = REPOSITORY / "tools" / f"{name}.py"
    assert path.is_file(), f"no command {name}: tools/{name}.py"
    spec = importlib.util.spec_from_file_location(f"documented_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def split(command: str) -> tuple[str, list[str]] | None:
    """(name of the tool, its arguments) of a command line; None: a command of others, or a script."""
    words = shlex.split(command)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if words[0] in LAUNCHERS:
        words = ["python", *words[next(n for n, word in enumerate(words) if word.startswith("tools/")) :]]
    line = " ".join(words)
    if any(line == name or line.startswith(name + " ") for name in FOREIGN):
        return None
    if words[:3] == ["mim", "run", "clmot_qd"]:
        return words[3], [word for word in words[4:] if word != "--"]
    if words[:3] in (["mim", "train", "clmot_qd"], ["mim", "test", "clmot_qd"]):
        assert words[3].endswith(".py"), f"mim {words[1]} wants the configuration with .py: {command}"
        return words[1], [word for n, word in enumerate(words[3:], start=3) if not {word, words[n - 1]} & {*OF_MIM}]
    if words[0] == "python" and re.fullmatch(r"tools/\w+\.py", words[1]):
        return Path(words[1]).stem, words[2:]
    if words[0] == "bash" and words[1].endswith(".sh"):
        assert (REPOSITORY / words[1]).is_file(), f"no script {words[1]}"
        return None
    raise AssertionError(f"what is this command? {command}")


def parse(command: str) -> argparse.Namespace | None:
    """The arguments as the tool itself reads them; None where there are none to read."""
    parts = split(command)
    if parts is None or "--help" in parts[1]:
        return None
    try:
        return tool(parts[0]).parse_args(parts[1])
    except SystemExit:
        raise AssertionError(f"tools/{parts[0]}.py does not understand: {command}") from None


def caller(command: str) -> Callable[[], int | None]:
    """What runs a command as its tool does, in this process."""
    parts = split(command)
    assert parts is not None, f"a block that is marked to be run has a command of others: {command}"
    return lambda: tool(parts[0]).main(parts[1])


@functools.cache
def files_of_the_pages() -> frozenset[str]:
    """Configurations that a page tells its reader to write."""
    named = {block.file_name for page in PAGES for block in blocks_of(page)} - {""}
    return frozenset(named)


def check_config(arguments: argparse.Namespace, command: str) -> None:
    """What a command names is there: configurations (packaged, or written by a page), their keys, trackers."""
    try:
        for name in configs_of(arguments):
            if not is_of_a_reader(name):
                check_options(name, tuple(getattr(arguments, "cfg_options", None) or ()))
        check_trackers(arguments)
    except InputError as error:
        raise AssertionError(f"{command}: {error}") from None


def configs_of(arguments: argparse.Namespace) -> list[str]:
    """All configurations that a command names; a report's ``-`` stands for the one in the run's folder."""
    named = getattr(arguments, "config", None) or []
    models = [parse_model(text).config for text in getattr(arguments, "model", None) or []]
    return [name for name in ([named] if isinstance(named, str) else named) if name != "-"] + models


def is_of_a_reader(name: str) -> bool:
    """Whether the reader has this configuration: it stands for any, or a page has told to write it."""
    return name in PLACEHOLDERS or Path(name).name in files_of_the_pages()


def check_trackers(arguments: argparse.Namespace) -> None:
    """Trackers of ``--row`` and ``--tracker`` are there and have the arguments that they are given.

    Raises:
        InputError: One is not, or has not.
    """
    config = next(iter(configs_of(arguments)), None)
    packaged = None if config is None or is_of_a_reader(config) else config
    check_rows(packaged, getattr(arguments, "row", None) or [])
    pairs = [pair for key in ("option", "grid", "space") for pair in getattr(arguments, key, None) or []]
    if pairs:
        own = plain(packaged).model.tracker.type if packaged else "JDETracker"
        tracker = getattr(arguments, "tracker", None) or own
        if tracker not in classes_of_pages():
            require_options(tracker, [pair.partition("=")[0] for pair in pairs])


def check_checkpoint(text: str) -> None:
    """``work_dirs/NAME/epoch_N.pth`` is what training the configuration NAME leaves."""
    for name, epoch in re.findall(r"work_dirs/([\w.-]+)/epoch_(\d+)\.pth", text):
        if f"{name}.py" not in files_of_the_pages():
            epochs = plain(name).train_cfg.max_epochs
            assert epochs == int(epoch), f"{name} trains {epochs} epochs: {text}"
