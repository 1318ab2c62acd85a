"""Configurations, runners and models, with a user's mistakes told as one line."""

from __future__ import annotations

import os
import os.path as osp
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clmot_qd.apis.loading import check_load_from as check_load_from
from clmot_qd.apis.loading import load_weights as load_weights
from clmot_qd.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

Built = TypeVar("Built")

_reading = threading.RLock()


def find_config(name: str) -> str:
    """A path as it is; otherwise the packaged configuration of that file name (``.py`` may be left out).

    Raises:
        InputError: Neither a file nor the name of a packaged configuration; similar names are listed.
    """
    if osp.isfile(name):
        return name
    if osp.dirname(name):
        raise InputError(f"{name}: no such file; correct the path, or give a packaged name without a folder")
    root = packaged_configs()
    stem = osp.basename(name).removesuffix(".py")
    known = {path.stem: path for path in sorted(root.rglob("*.py")) if "_base_" not in path.parts}
    if stem in known:
        return str(known[stem])
    import difflib

    close = difflib.get_close_matches(stem, known, n=3, cutoff=0.3)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    raise InputError(f"configuration '{name}' is neither a file nor a packaged configuration{hint}")


def packaged_configs() -> Path:
    """The folder of configurations that came with the package (wheel or editable install)."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / ".mim" / "configs", package.parent / "configs"):
        if folder.is_dir():
            return folder
    raise InputError(f"{package}: the configurations are missing from this installation; install the package again")


def load_config(name: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a configuration by path or packaged name and apply ``--cfg-options``.

    Raises:
        InputError: It is not there, cannot be parsed, or an option names an unknown place.
    """
    from mmengine.config import Config

    path = find_config(name)
    try:
        with _reading:  # mmengine parses with ast, which fails now and then where threads do so at once
            config = Config.fromfile(path)
        config.merge_from_dict(dict(options or {}))
    except InputError:
        raise
    except Exception as error:  # a configuration is Python code and may raise anything
        told = f"{type(error).__name__}: {_first_line(error)}"
        raise InputError(f"{path}: cannot be read as a configuration ({told})") from error
    _drop_scope(config._cfg_dict)
    if not config.get("model"):
        raise InputError(f"{path}: has no key 'model'; inherit from one of the packaged configurations")
    return config


def _drop_scope(node: Any) -> None:
    """Remove the ``_scope_`` that mmengine writes into what is inherited from ``clmot_qd::``, in place.

    It would look for a registry of that name; our modules are in mmdet's.
    """
    if isinstance(node, dict):
        if node.get("_scope_") == "clmot_qd":
            del node["_scope_"]
        for child in node.values():
            _drop_scope(child)
    elif isinstance(node, (list, tuple)):
        for child in node:
            _drop_scope(child)


def require_keys(config: Config, *keys: str) -> None:
    """Refuse a configuration that lacks what a command needs.

    Raises:
        InputError: Naming the first key that is missing or None.
    """
    for key in keys:
        if not config.get(key):
            raise InputError(f"the configuration has no key '{key}', which this command needs")


def track_evaluator(config: Config) -> dict:
    """The metric of tracks (``TrackEvalMetric``, ``TrackMapMetric``) among the test evaluators of a configuration.

    Raises:
        InputError: There is none.
    """
    require_keys(config, "test_evaluator")
    evaluators = config.test_evaluator if isinstance(config.test_evaluator, list) else [config.test_evaluator]
    for evaluator in evaluators:
        if evaluator.get("type") in ("TrackEvalMetric", "TrackMapMetric"):
            return evaluator
    raise InputError("test_evaluator: has no TrackEvalMetric or TrackMapMetric, which this command needs")


def build_runner(config: Config) -> Runner:
    """The runner of a configuration.

    Raises:
        InputError: A type that no registry knows, an argument that a class does not take, or a package that is missing.
    """
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    return explain_build(lambda: RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config))


def explain_build(build: Callable[[], Built]) -> Built:
    """Run ``build``; what a registry says of a wrong type or argument becomes an InputError."""
    try:
        return build()
    except KeyError as error:
        if "registry" in str(error):
            raise InputError(f"the configuration names something unknown: {_first_line(error)}") from error
        raise
    except TypeError as error:
        if "None is not a callable" in str(error):
            raise InputError("the configuration names an unknown optimizer (optim_wrapper.optimizer.type)") from error
        if "unexpected keyword argument" in str(error) or "required positional argument" in str(error):
            raise InputError(f"the configuration has a wrong argument: {_first_line(error)}") from error
        raise
    except ImportError as error:  # mmengine's backends of TensorBoard and W&B import theirs when they are built
        raise InputError(f"the configuration needs a package that is missing: {_first_line(error)}") from error
    except RuntimeError as error:
        if "lap is not installed" in str(error):  # mmdet's trackers
            raise InputError("model.tracker: mmdet's trackers need the package lap: pip install lap") from error
        raise


def build_training(runner: Runner) -> None:
    """Build what ``runner.train`` would build on its way (data, optimizer, metrics), so that mistakes show at once.

    Raises:
        InputError: Something unknown, or a wrong argument.
    """
    explain_build(lambda: runner.train_loop.dataloader)
    optimizer = explain_build(lambda: runner.build_optim_wrapper(runner.optim_wrapper))
    runner.optim_wrapper = optimizer
    explain_build(lambda: runner.val_loop and runner.val_loop.dataloader)


def end_process_group() -> None:
    """Take torch's process group down once every process has come here; without a group nothing happens.

    A process that ends with the group up is aborted by gloo's threads now and then, although its work is done, and
    NCCL warns. After an error the others may never come: call it where the work went well.
    """
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or this machine does not have.

    Raises:
        InputError: Naming it.
    """
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device '{device}': cannot be used here ({_first_line(error)})") from error


def chosen_device(device: str) -> str:
    """The device by its full name: ``'auto'`` is the first GPU if there is one, ``'cuda'`` the current one's number.

    Which GPU is the current one, each thread decides for itself.

    Raises:
        InputError: See :func:`check_device`.
    """
    import torch

    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    check_device(name)
    found = torch.device(name)
    return f"cuda:{torch.cuda.current_device()}" if found.type == "cuda" and found.index is None else name


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder for results before the work starts whose results it will hold.

    Raises:
        InputError: It cannot be made or written to.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be used as a folder for results ({error.strerror})") from error
    if not os.access(path, os.W_OK):
        raise InputError(f"{os.fspath(path)}: cannot be written to; choose another folder")


def require_gpu(option: str) -> None:
    """Refuse an option that needs an accelerator where there is none.

    Raises:
        InputError: Naming the option.
    """
    import torch

    if not torch.cuda.is_available():
        raise InputError(f"{option}: needs a CUDA device, and torch sees none here")


def _first_line(error: BaseException) -> str:
    """The first line of what an exception says, without a KeyError's quotes."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    return (text.strip().splitlines() or [type(error).__name__])[0]


def parse_options(pairs: list[str] | None) -> dict[str, Any]:
    """``["a.b=1", "c=[x,y]"]`` -> ``{"a.b": 1, "c": ["x", "y"]}``, by mmengine's own grammar.

    Raises:
        InputError: A pair has no equals sign.
    """
    import argparse

    from mmengine.config import DictAction

    for pair in pairs or []:
        if "=" not in pair:
            raise InputError(f"--cfg-options {pair}: write KEY=VALUE, e.g. train_dataloader.batch_size=4")
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="+", action=DictAction)
    return parser.parse_args(["--options", *pairs]).options if pairs else {}
