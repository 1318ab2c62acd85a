"""Registration that costs nothing until something is looked up by name.

mmdet's registries import mmdet's own modules at the first look-up, not before. Ours join them there: importing
``clmot_qd`` imports neither mmdet nor torch, and the first look-up in any of mmdet's registries imports mmdet's modules
of that registry and then :mod:`clmot_qd.registration`, which registers everything of ours.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from clmot_qd.on_import import on_import

if TYPE_CHECKING:
    from mmengine.registry import Registry


def register_on_use() -> None:
    """Prepare mmdet's registries, mmengine's list of packages to inherit from, and its reading of checkpoints."""
    on_import("mmdet.registry", _join_registries)
    on_import("mmengine.config.utils", _name_package)
    on_import("mmengine.runner.checkpoint", _load_safely)


def _join_registries(mmdet_registry: ModuleType) -> None:
    from mmengine.registry import Registry

    for registry in vars(mmdet_registry).values():
        if isinstance(registry, Registry) and registry.scope == "mmdet":
            _join(registry)


def _join(registry: Registry) -> None:
    """Import ours after the registry's own modules, at its first look-up.

    ``Registry.get`` calls ``import_from_location`` before it looks. That method is replaced, not the list of modules
    that it imports, since a registry which was used before ``clmot_qd`` was imported does not read its list again.
    """
    vars(registry)["import_from_location"] = partial(_import_with_ours, registry)  # a closure cannot be pickled
    # A registry with this one as its parent reads what the parent has, and does not tell it to import.
    vars(registry)["_add_child"] = partial(_add_and_join, registry)
    for child in registry.children.values():
        _join(child)


def _add_and_join(parent: Registry, child: Registry) -> None:
    type(parent)._add_child(parent, child)
    _join(child)


def _import_with_ours(registry: Registry) -> None:
    type(registry).import_from_location(registry)
    import_module("clmot_qd.registration")  # a second thread waits here until it is done
    vars(registry).pop("import_from_location", None)


def _name_package(mmengine_config_utils: ModuleType) -> None:
    """Let a configuration inherit from a packaged one: _base_ = "clmot_qd::clmot/clmot_dla34_40e_mot17.py".

    mmengine knows the OpenMMLab packages alone, so this works once the package is imported, as its own commands do.
    """
    mmengine_config_utils.MODULE2PACKAGE.setdefault("clmot_qd", "clmot_qd")


def _load_safely(mmengine_checkpoint: ModuleType) -> None:
    """Without it an address runs code, and the stock --resume cannot read a stock checkpoint on torch 2.6 and later."""
    from clmot_qd.checkpoints import load_safely_in

    load_safely_in(mmengine_checkpoint)
