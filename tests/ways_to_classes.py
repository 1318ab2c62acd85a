"""Ways of getting at a registered class, each tried in a process of its own that has looked nothing up before.

Run as a program: ``python ways_to_classes.py mmdet-first|package-first FOLDER`` imports mmdet and the package in this
order, forks a child for every way (mmdet is imported once) and prints {way: what it found} as JSON.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

FIRST_LOOKUPS = {
    "MODELS": "CLMOT",
    "DATASETS": "CocoPairDataset",
    "TRANSFORMS": "WithinFrameTwoView",
    "DATA_SAMPLERS": "VideoSampler",
    "METRICS": "TrackEvalMetric",
    "HOOKS": "TrackingVisualizationHook",
    "TASK_UTILS": "SteadyIoUBalancedNegSampler",
}
CONFIGS = Path(__file__).parents[1] / "configs"


def first_lookup(registry: str) -> type:
    import mmdet.registry

    return getattr(mmdet.registry, registry).get(FIRST_LOOKUPS[registry])


def every_registry_after_one() -> bool:
    return [first_lookup(registry).__name__ for registry in FIRST_LOOKUPS] == list(FIRST_LOOKUPS.values())


def membership() -> object:
    from mmdet.registry import MODELS

    return type("Found", (), {}) if "JDETracker" in MODELS else None


def scoped_name_from_the_root() -> object:
    from mmengine.registry import MODELS

    return MODELS.get("mmdet.QuasiDenseMOT")


def default_scope() -> object:
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope("mmdet")
    return type(MODELS.build({"type": "BiSoftmaxTracker"}))


def switched_scope() -> object:
    from mmengine.registry import TRANSFORMS, init_default_scope

    init_default_scope("mmengine")
    return type(TRANSFORMS.build({"type": "ReferenceFrame", "_scope_": "mmdet"}))


def class_itself() -> object:
    from mmengine.registry import MODELS

    from clmot_qd.models.losses import TripletPairLoss

    return type(MODELS.build({"type": TripletPairLoss}))


def child_registry() -> object:
    from mmdet.registry import MODELS
    from mmengine.registry import Registry

    child = Registry("model", parent=MODELS, scope="mine")
    return Registry("model", parent=child, scope="its_own").get("CLMOT")


def dotted_path() -> object:
    from mmdet.registry import MODELS

    return MODELS.get("clmot_qd.models.necks.dla_neck.DLANeck")


def own_module_first() -> object:
    from mmdet.registry import DATASETS

    import clmot_qd.models.heads.center_embed_head  # noqa: F401

    return DATASETS.get("CocoVideoDataset")


def stock_class() -> object:
    from mmdet.registry import MODELS

    return MODELS.get("ResNet")


def all_modules_of_mmdet() -> object:
    from mmdet.registry import METRICS
    from mmdet.utils import register_all_modules

    register_all_modules()
    return METRICS.get("TrackEvalMetric")


def reloaded_package() -> object:
    from mmdet.registry import MODELS

    import clmot_qd

    importlib.reload(clmot_qd)
    before = MODELS.get("JDETracker")
    importlib.reload(clmot_qd)
    importlib.reload(sys.modules["clmot_qd.registration"])
    return MODELS.get("JDETracker") if MODELS.get("JDETracker") is before else None


def two_threads() -> object:
    from mmdet.registry import MODELS

    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(MODELS.get("CLMOT"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found[0] if len(found) == 2 and found[0] is found[1] else None


def configuration(folder: Path) -> object:
    from mmengine.config import Config
    from mmengine.runner import Runner

    config = Config.fromfile(CONFIGS / "demo" / "clmot_tiny_demo.py")
    config.work_dir = str(folder)
    for part in ("train", "val", "test"):  # a runner without data
        config.update({f"{part}_dataloader": None, f"{part}_evaluator": None, f"{part}_cfg": None})
    config.update(optim_wrapper=None, param_scheduler=None)
    return type(Runner.from_cfg({key: value for key, value in config.items() if key != "train_evaluator"}).model)


def inherited_configuration(folder: Path) -> object:
    from mmengine.config import Config

    (folder / "inherits.py").write_text('_base_ = "clmot_qd::demo/clmot_tiny_demo.py"')
    return Config.fromfile(folder / "inherits.py").model.type


def spawned_worker() -> object:
    from mmcv.transforms import Compose
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    pipeline = Compose([{"type": "ColourJitterHSV", "fraction": 0.0}, {"type": "Letterbox", "scale": (32, 32)}])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(kinds_in, (pipeline,))[-1]


def kinds_in(pipeline: object) -> list[type]:
    """What a worker finds: a look-up by name, and the class that came as a pickle."""
    from mmdet.registry import TRANSFORMS

    looked_up = TRANSFORMS.get("Letterbox")
    return [looked_up] if looked_up is type(pipeline.transforms[-1]) else [type(None)]  # type: ignore[attr-defined]


def ways(order: str, folder: Path) -> dict[str, Callable[[], object]]:
    named = [every_registry_after_one, membership, scoped_name_from_the_root, default_scope, switched_scope]
    named += [
        class_itself,
        child_registry,
        dotted_path,
        own_module_first,
        stock_class,
        all_modules_of_mmdet,
        reloaded_package,
    ]
    named += [two_threads] + [spawned_worker] * (order == "package-first")  # a worker imports mmdet anew, in 5 s
    tried: dict[str, Callable[[], object]] = {way.__name__: way for way in named}
    tried |= {way.__name__: partial(way, folder) for way in (configuration, inherited_configuration)}
    return tried | {f"first_lookup_{name}": partial(first_lookup, name) for name in FIRST_LOOKUPS}


def in_a_child(way: Callable[[], object]) -> str:
    """Name of what the way found, or the end of its traceback."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            found = way()
            told = found.__name__ if isinstance(found, type) else str(found)
        except BaseException:
            told = traceback.format_exc()[-1500:]
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


def main(order: str, folder: Path) -> None:
    used_before = ["mmdet.models", "mmdet.datasets"]
    modules = [*used_before, "clmot_qd"] if order == "mmdet-first" else ["clmot_qd", *used_before]
    for module in modules:
        importlib.import_module(module)
        if order == "mmdet-first" and module == "mmdet.models":
            importlib.import_module("mmdet.registry").MODELS.get("ResNet")  # this registry does not read its list again
    assert "clmot_qd.registration" not in sys.modules
    print(json.dumps({name: in_a_child(way) for name, way in ways(order, folder).items()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
