"""Build hook: makes ``mim`` find configs and tools of an editable install.

``mim`` looks for ``<package>/.mim/{configs,tools,model-index.yml}``. A wheel carries copies (``force-include`` in
pyproject.toml). An editable install gets links to the checkout, so that edits count at once, and a ``top_level.txt``
that names the checkout's package folder: mim joins site-packages with its first line, and joining with an absolute path
gives that path. Without it mim says "can not infer the module name" for every editable install made by a current pip.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHARED = ("configs", "tools", "model-index.yml")


class MimHook(BuildHookInterface):
    """Adds the ``.mim`` folder to editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a wheel is built; ``version`` is 'editable' or 'standard'."""
        if version != "editable":
            return
        package = Path(self.root) / "clmot_qd"
        link_shared(Path(self.root), package / ".mim")
        folder = Path(tempfile.mkdtemp())
        top_level = folder / "top_level.txt"
        top_level.write_text(f"{package}\nclmot_qd\n", encoding="utf-8")
        metadata = f"clmot_qd-{self.metadata.version}.dist-info"
        build_data["force_include_editable"][str(top_level)] = f"{metadata}/top_level.txt"


def link_shared(root: Path, mim: Path) -> None:
    """Link what mim wants into ``mim``; copies where the system has no links for plain users (Windows)."""
    shutil.rmtree(mim, ignore_errors=True)
    mim.mkdir(parents=True)
    for name in SHARED:
        source = root / name
        try:
            os.symlink(os.path.relpath(source, mim), mim / name, target_is_directory=source.is_dir())
        except OSError:
            (shutil.copytree if source.is_dir() else shutil.copy)(source, mim / name)
