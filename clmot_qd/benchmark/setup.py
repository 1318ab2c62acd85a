"""Start-up: what imports cost, how long a command takes to say what it does, and a model to its first tracks.

Every case is a process of its own, started as a user starts it; the peak memory beside the time is what is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from clmot_qd.benchmark.cases import Group, Missing, Options, ProcessCase

TOOLS = Path(__file__).parents[1] / ".mim" / "tools"
_IMPORTS = {
    "import clmot_qd": "import clmot_qd",
    "clmot_qd.trackers": "import clmot_qd.trackers",
    "clmot_qd.evaluation": "import clmot_qd.evaluation",
    "OnnxTrackingInferencer": "from clmot_qd.apis import OnnxTrackingInferencer",
    "TrackingInferencer": "from clmot_qd.apis import TrackingInferencer",
    "everything, registered": "import clmot_qd.registration",
}
_PEERS = {"mmdet.apis": "mmdet", "trackers": "trackers", "norfair": "norfair"}
_QUICK_IMPORTS = ("import clmot_qd", "clmot_qd.trackers")

# The same network, with the random weights of its configuration, and one small frame.
_FRAME = "numpy.random.default_rng(0).integers(0, 256, (192, 320, 3), dtype='uint8')"
_OURS = """
import numpy
from clmot_qd.apis import TrackingInferencer
options = {"model.init_cfg": None, "model.detector.init_cfg": None, "model.detector.backbone.init_cfg": None}
TrackingInferencer("qdtrack_faster-rcnn_r50_fpn_4e_mot17-half", device=DEVICE, options=options).update(FRAME)
"""
_MMDET = """
import numpy, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import mmdet
from mmdet.apis import inference_mot, init_track_model
from mmdet.utils import register_all_modules
register_all_modules()
name = "qdtrack_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py"
config = Path(mmdet.__file__).parent / ".mim" / "configs" / "qdtrack" / name
inference_mot(init_track_model(str(config), device=DEVICE), FRAME, 0, 1)
"""


def groups(options: Options) -> Iterator[Group]:
    """Yield the groups one by one."""
    yield Group("setup", "imports", "start", _imports(options.quick))
    yield Group("setup", "--help of the commands", "start", _commands(options.quick))
    if not options.quick:
        yield Group("setup", "first tracks, QDTrack R50", "start", _first_tracks(options.device))


def _python(name: str, code: str, peer: bool = False) -> ProcessCase:
    return ProcessCase(name, [sys.executable, "-W", "ignore", "-c", code], peer=peer)


def _imports(quick: bool) -> list[ProcessCase | Missing]:
    ours = [_python(name, code) for name, code in _IMPORTS.items() if not quick or name in _QUICK_IMPORTS]
    peers = {"trackers": "trackers"} if quick else _PEERS
    return [*ours, *(_peer(f"import {name}", f"import {name}", package) for name, package in peers.items())]


def _peer(name: str, code: str, package: str) -> ProcessCase | Missing:
    if find_spec(package) is None:
        return Missing(name, f"pip install {package}")
    return _python(name, code, peer=True)


def _commands(quick: bool) -> list[ProcessCase | Missing]:
    """Every command of ours, and mmdet's for training."""
    scripts = sorted(TOOLS.glob("*.py"))
    cases: list[ProcessCase | Missing] = [
        ProcessCase(script.stem, [sys.executable, str(script), "--help"])
        for script in (scripts[:2] if quick else scripts)
    ]
    if not quick:
        cases.append(_mmdet_command())
    return cases


def _mmdet_command() -> ProcessCase | Missing:
    found = find_spec("mmdet")
    script = (
        None if found is None or found.origin is None else Path(found.origin).parent / ".mim" / "tools" / "train.py"
    )
    if script is None or not script.is_file():
        return Missing("mmdet's train", "mim install mmdet")
    return ProcessCase("mmdet's train", [sys.executable, str(script), "--help"], peer=True)


def _first_tracks(device: str) -> list[ProcessCase | Missing]:
    ours, theirs = (code.replace("DEVICE", repr(device)).replace("FRAME", _FRAME) for code in (_OURS, _MMDET))
    return [_python("clmot_qd", ours), _peer("mmdet's inference_mot", theirs, "mmdet")]
