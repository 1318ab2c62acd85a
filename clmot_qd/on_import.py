"""Doing something when another package's module is imported, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from itertools import dropwhile
from types import ModuleType
from typing import Any

#: Is given the module that has just been imported.
Action = Callable[[ModuleType], None]


def on_import(name: str, action: Action) -> None:
    """Call ``action(module)`` as soon as module ``name`` is imported: now, if it is already, and after every reload.

    Args:
        name: Full name of a module inside a package ("mmdet.registry"). It need not exist.
        action: May be called more than once for one module, so a second call must do no harm.
    """
    _waiting()[name] = action
    if name in sys.modules:
        action(sys.modules[name])


def _waiting() -> dict[str, Action]:
    """Module names and what to do, of the one finder of this process."""
    finder = next((finder for finder in sys.meta_path if isinstance(finder, _Finder)), None)
    if finder is None:
        finder = _Finder()
        sys.meta_path.insert(0, finder)
    return finder.actions


class _Finder(MetaPathFinder):
    """Lets the finders behind it find the modules that are waited for, and adds the action to their loading."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        action = self.actions.get(fullname)
        if action is None:
            return None
        behind = list(dropwhile(lambda finder: finder is not self, sys.meta_path))[1:]  # the others have been asked
        found = (finder.find_spec(fullname, path, target) for finder in behind if hasattr(finder, "find_spec"))
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _LoadThenAct(spec.loader, action)
        return spec


class _LoadThenAct(Loader):
    """Loads with another loader, gives it back its place, and acts; that one answers all else (source, code)."""

    def __init__(self, loader: Loader, action: Action) -> None:
        self.loader = loader
        self.action = action

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # a copy that has nothing yet
            raise AttributeError(name)
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Who asks the module for its source, a debugger say, asks the loader.
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.action(module)
