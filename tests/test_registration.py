"""Classes are found by name after ``import clmot_qd`` alone, which itself imports next to nothing."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import ways_to_classes

from clmot_qd.on_import import _Finder, _waiting, on_import

HEAVY = ("torch", "mmengine", "mmcv", "mmdet")
FOUND = {
    "every_registry_after_one": "True",
    "membership": "Found",
    "scoped_name_from_the_root": "QuasiDenseMOT",
    "default_scope": "BiSoftmaxTracker",
    "switched_scope": "ReferenceFrame",
    "class_itself": "TripletPairLoss",
    "child_registry": "CLMOT",
    "dotted_path": "DLANeck",
    "own_module_first": "CocoVideoDataset",
    "stock_class": "ResNet",
    "all_modules_of_mmdet": "TrackEvalMetric",
    "reloaded_package": "JDETracker",
    "two_threads": "CLMOT",
    "configuration": "CLMOT",
    "inherited_configuration": "CLMOT",
    **{f"first_lookup_{registry}": name for registry, name in ways_to_classes.FIRST_LOOKUPS.items()},
}


def python(*arguments: str) -> str:
    """The last line that a process prints."""
    result = subprocess.run([sys.executable, "-W", "ignore", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


@pytest.mark.parametrize("order", ["mmdet-first", "package-first"])
def test_every_way_to_a_class_finds_it(order: str, tmp_path: Path) -> None:
    found = json.loads(python(ways_to_classes.__file__, order, str(tmp_path)))
    assert found.pop("spawned_worker", "Letterbox") == "Letterbox"  # in one of the two orders
    assert found == FOUND


@pytest.mark.parametrize(
    "module",
    [
        "clmot_qd",
        "clmot_qd.apis",
        "clmot_qd.apis.onnx_inferencer",
        "clmot_qd.apis.running",
        "clmot_qd.datasets.detections",
        "clmot_qd.datasets.mot_text",
        "clmot_qd.evaluation",
        "clmot_qd.export.runtime",
        "clmot_qd.trackers",
        "clmot_qd.visualization.draw",
    ],
)
def test_what_needs_no_network_imports_none(module: str) -> None:
    assert python("-c", f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_the_names_of_the_python_interface_are_imported_when_asked_for() -> None:
    import clmot_qd.apis

    assert {getattr(clmot_qd.apis, name).__name__ for name in clmot_qd.apis.__all__} == set(clmot_qd.apis.__all__)
    assert set(clmot_qd.apis.__all__) <= set(dir(clmot_qd.apis))
    with pytest.raises(AttributeError, match="no attribute 'Inferencer'"):
        _ = clmot_qd.apis.Inferencer  # type: ignore[attr-defined]


def test_a_stock_checkpoint_can_be_read_as_soon_as_mmengine_can_read_one() -> None:
    reader = "import clmot_qd, mmengine.runner.checkpoint, sys, torch; from mmengine.logging import HistoryBuffer\n"
    reader += "print(HistoryBuffer in torch.serialization.get_safe_globals(), 'clmot_qd.models' in sys.modules)"
    assert python("-c", reader) == "True False"


def test_a_child_that_was_there_before_the_package_finds_our_classes() -> None:
    code = "from mmengine.registry import Registry; from mmdet.registry import MODELS\n"
    code += "child = Registry('model', parent=MODELS, scope='mine')\n"
    code += "import clmot_qd; print(child.get('CLMOT').__name__)"
    assert python("-c", code) == "CLMOT"


def test_registries_can_be_pickled_and_copied_before_they_are_used() -> None:
    """Some launchers send them to their workers."""
    code = "import clmot_qd, copy, pickle, sys; from mmdet.registry import MODELS\n"
    code += "twins = [copy.deepcopy(MODELS), pickle.loads(pickle.dumps(MODELS))]\n"
    code += "assert 'clmot_qd.models' not in sys.modules\n"
    code += "twins[0].get('ResNet'), print('import_from_location' in vars(MODELS), MODELS.get('CLMOT').__name__)"
    assert python("-c", code) == "True CLMOT"


class TestOnImport:
    @pytest.fixture
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A package that can be imported, with one module."""
        folder = tmp_path / "someones_package"
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "part.py").write_text("VALUE = 1\ndef function(): return VALUE\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
        yield folder
        for name in [name for name in sys.modules if name.startswith("someones_package")]:
            del sys.modules[name]

    def test_acts_at_the_end_of_the_import_and_of_every_reload(self, package: Path) -> None:
        seen: list[int] = []
        on_import("someones_package.part", lambda module: seen.append(module.VALUE))
        assert seen == []
        part = importlib.import_module("someones_package.part")
        assert seen == [1]
        assert "return VALUE" in inspect.getsource(part.function)
        assert type(part.__loader__) is type(part.__spec__.loader) is SourceFileLoader  # the file's own again
        importlib.reload(part)
        assert seen == [1, 1]

    def test_asks_the_other_finders_and_never_itself(self, package: Path) -> None:
        class Elsewhere(MetaPathFinder):
            def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
                return spec_from_file_location(name, package / "part.py") if name == "someones_package.moved" else None

        seen: list[int] = []
        sys.meta_path.insert(0, Elsewhere())
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
        on_import("someones_package.moved", lambda module: seen.append(module.VALUE))
        another = _Finder()  # as a reload of ours leaves behind
        another.actions.update(_waiting())
        sys.meta_path.insert(0, another)
        importlib.import_module("someones_package.moved")
        assert seen == [1, 1]

    def test_source_and_code_can_be_asked_for_before_the_import(self, package: Path) -> None:
        on_import("someones_package.part", lambda module: None)
        assert runpy.run_module("someones_package.part")["VALUE"] == 1
        loader = find_spec("someones_package.part").loader
        assert loader.get_source("someones_package.part").startswith("VALUE")
        with pytest.raises(AttributeError, match="nonsense"):
            _ = loader.nonsense
        assert copy.copy(loader).loader is loader.loader

    def test_acts_at_once_on_a_module_that_is_there(self, package: Path) -> None:
        seen: list[ModuleType] = []
        part = __import__("someones_package.part").part
        on_import("someones_package.part", seen.append)
        assert seen == [part]

    def test_says_nothing_of_modules_that_cannot_be_imported(self, package: Path) -> None:
        seen: list[ModuleType] = []
        on_import("someones_package.missing", seen.append)
        on_import("someones_package.broken", seen.append)
        (package / "broken.py").write_text("raise OSError('broken')")
        with pytest.raises(ModuleNotFoundError, match=r"someones_package\.missing"):
            __import__("someones_package.missing")
        with pytest.raises(OSError, match="broken"):
            __import__("someones_package.broken")
        assert seen == []
