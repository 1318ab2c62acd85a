"""Checkpoints that are whole or not there, whenever the process is killed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from clmot_qd.engine.latest_checkpoint import LAST_CHECKPOINT, names_like
from clmot_qd.files import atomic_path, write_text

SUPERFLUOUS = "superfluous_ckpts"
"""In a checkpoint's list of runtime information: names of files that were to be removed after it was written."""
_BEGUN = re.compile(r"\.(.+)\.[0-9a-f]{8}(\.\w+|)")


@register_backend("whole_files", force=True)
class WholeFilesBackend(LocalBackend):
    """mmengine's local files, except that a file gets its name once it is complete and on the disk."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes, all or nothing."""
        with atomic_path(filepath) as path, open(path, "wb") as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())  # or a power cut leaves the new name with nothing behind it


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, safe to be killed at any moment; arguments and files are the same.

    What differs from it:

    * a checkpoint, and ``last_checkpoint``, is written under another name first, then renamed; the parent writes under
      the final name, so that a kill leaves half a file there;
    * what ``max_keep_ckpts`` or a better score makes superfluous is removed after the new file is complete; the parent
      removes first, so that a kill leaves none;
    * after a resume, a better score is written into the checkpoint as it is without one.

    A checkpoint folder that is an address (``s3://``) is left to mmengine's backend of it.
    """

    backend_args: dict[str, Any] | None
    file_backend: Any
    last_ckpt: str | None
    best_ckpt_path: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._superseded: list[str] = []
        if self.backend_args is None and self.file_client_args is None and "://" not in str(self.out_dir):
            self.backend_args = dict(backend="whole_files")

    def before_train(self, runner: Runner) -> None:
        """Find the folder, and remove what a killed process had begun there."""
        super().before_train(runner)
        known = runner.message_hub.runtime_info
        last = self._here(known.get("last_ckpt"))
        self.last_ckpt = last if last and self.file_backend.exists(last) else None
        self._find_best(runner)
        if is_main_process() and "://" not in self.out_dir:
            self._remove_begun()
        if is_main_process():
            self._remove(known.get(SUPERFLUOUS, []))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Write the checkpoint, then its name, then remove the oldest."""
        name = self.filename_tmpl.format(step)
        superfluous = self._keep(runner, step)
        runner.message_hub.update_info(SUPERFLUOUS, [*superfluous, *self._superseded_best()])
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_text(Path(runner.work_dir, LAST_CHECKPOINT), self.last_ckpt)
            self._remove(superfluous)

    def _keep(self, runner: Runner, step: int) -> list[str]:
        """Count this step among those kept; names of those that no longer are."""
        if self.max_keep_ckpts <= 0 or step in list(self.keep_ckpt_ids)[-1:]:
            return []
        kept = [*self.keep_ckpt_ids, step]
        self.keep_ckpt_ids.append(step)  # a deque of limited length
        runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        return [self.filename_tmpl.format(one) for one in kept[: -self.max_keep_ckpts]]

    def _here(self, recorded: str | None) -> str | None:
        """Where a checkpoint is now: in this folder, if that was moved after the path was recorded."""
        if not recorded or self.file_backend.exists(recorded):
            return recorded
        moved = self.file_backend.join_path(self.out_dir, recorded.rpartition("/")[2])
        return moved if self.file_backend.exists(moved) else recorded

    def _find_best(self, runner: Runner) -> None:
        """Let the parent know the best checkpoints where they are now, so that a better one replaces them."""
        if getattr(self, "best_ckpt_path", None):
            self.best_ckpt_path = self._here(self.best_ckpt_path)
            runner.message_hub.update_info("best_ckpt", self.best_ckpt_path)
        for key, recorded in getattr(self, "best_ckpt_path_dict", {}).items():
            if recorded:
                self.best_ckpt_path_dict[key] = self._here(recorded)
                runner.message_hub.update_info(f"best_ckpt_{key}", self.best_ckpt_path_dict[key])

    def _remove_begun(self) -> None:
        """Remove files under the temporary names of ``atomic_path``; its process was killed."""
        ours = names_like(self.filename_tmpl)
        for path in Path(self.out_dir).glob(".*"):
            begun = _BEGUN.fullmatch(path.name)
            if begun and (begun[1].startswith("best_") or ours.fullmatch(begun[1] + begun[2])):
                path.unlink(missing_ok=True)

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            path = self.file_backend.join_path(self.out_dir, name)
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):  # DeepSpeed's checkpoints are folders
                self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Let the parent write; what it removes before it has written, remove afterwards."""
        backend, self._superseded = self.file_backend, []
        self.file_backend = _RemovingLater(backend, self._superseded)
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        if is_main_process():
            self._remove(self._superseded_best())
        self._superseded = []

    def _superseded_best(self) -> list[str]:
        """Best checkpoints that are to be removed; a score of another run may have had the name of the new one."""
        best = [getattr(self, "best_ckpt_path", None), *getattr(self, "best_ckpt_path_dict", {}).values()]
        return [name for name in self._superseded if self.file_backend.join_path(self.out_dir, name) not in best]


class _RemovingLater:
    """A file backend that notes the names of the files it is to remove."""

    def __init__(self, backend: Any, names: list[str]) -> None:
        self._backend = backend
        self._names = names

    def remove(self, path: str) -> None:
        """Note the name."""
        self._names.append(path.rpartition("/")[2])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
