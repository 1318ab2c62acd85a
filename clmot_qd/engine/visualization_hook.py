"""Pictures of what a model is trained on and of what it tracks, into whatever mmengine's visualizer writes to."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from mmdet.registry import HOOKS
from mmdet.structures import TrackDataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clmot_qd.errors import InputError

from .pair_drawing import draw_pairs
from .tracked_frames import TrackedFrames
from .training_pairs import pairs_of


@HOOKS.register_module()
class TrackingVisualizationHook(Hook):
    """Draws training pairs with their matched identities, and tracked frames of validation and test.

    In training, ``training_pairs``: the views of the first samples of a batch side by side, as the network gets them.
    The same object has one colour and a line from view to view: a positive pair. What is in one view alone is grey and
    dashed. Two views of one frame, two frames of a video and still images among them look alike.

    In validation and test, ``tracks_VIDEO``: a few frames with the tracks' ids, the annotated objects below.

    The pictures go to all backends of the visualizer: ``LocalVisBackend`` (files in ``vis_data/vis_image``),
    ``TensorboardVisBackend``, ``WandbVisBackend``. Of several processes the first draws: the videos that it tests.
    Training goes through the same numbers with and without the hook. Whatever goes wrong in drawing is logged once, and
    the run goes on without pictures of that kind.

    Args:
        interval: Draw pairs every so many iterations, or epochs with ``by_epoch``.
        by_epoch: Count epochs; the first batch of an epoch is drawn.
        first_iters: The first so many iterations of a run are drawn as well.
        pairs: How many pairs of the batch; 0 draws none.
        videos: Names of the videos, or how many of them; 0 draws none.
        frames: Positions of the frames to draw in each video.
        ground_truth: Draw the annotated objects below the tracks.
        view_width: Width of one view or frame in the picture, pixels.

    Raises:
        InputError: A number that cannot be.
    """

    priority = "LOW"

    def __init__(
        self,
        interval: int = 500,
        by_epoch: bool = False,
        first_iters: int = 1,
        pairs: int = 2,
        videos: int | Collection[str] = 2,
        frames: Collection[int] = (0, 10, 20),
        ground_truth: bool = True,
        view_width: int = 640,
    ) -> None:
        numbers = dict(interval=(interval, 1), first_iters=(first_iters, 0), pairs=(pairs, 0))
        numbers |= dict(videos=(videos if isinstance(videos, int) else 0, 0), view_width=(view_width, 64))
        for name, (value, limit) in numbers.items():
            if value < limit:
                raise InputError(f"TrackingVisualizationHook: {name} = {value}: must be {limit} or more")
        if isinstance(videos, str):
            raise InputError(f"TrackingVisualizationHook: videos = '{videos}': give a list of names or a number")
        self.interval = interval
        self.by_epoch = by_epoch
        self.first_iters = first_iters
        self.pairs = pairs
        self.view_width = view_width
        self._tracked = TrackedFrames(videos, frames, view_width, ground_truth)
        self._off: set[str] = set()
        self._told_missing = False

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Draw the batch if it is due, before the model has touched it."""
        if self.pairs and self._is_due(runner, batch_idx):
            self._safely(runner, "training pairs", lambda: self._draw_pairs(runner, data_batch))

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keep the frames that are wanted."""
        self._take(runner, outputs, runner.val_loop.dataloader)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keep the frames that are wanted."""
        self._take(runner, outputs, runner.test_loop.dataloader)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Hand the sheets to the visualizer."""
        self._safely(runner, "tracked frames", lambda: self._add_sheets(runner))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Hand the sheets to the visualizer."""
        self._safely(runner, "tracked frames", lambda: self._add_sheets(runner))

    def _is_due(self, runner: Runner, batch_idx: int) -> bool:
        if runner.iter < self.first_iters:
            return True
        if self.by_epoch:
            return batch_idx == 0 and self.every_n_epochs(runner, self.interval)
        return self.every_n_train_iters(runner, self.interval)

    def _draw_pairs(self, runner: Runner, data_batch: Mapping[str, Any]) -> None:
        picture = draw_pairs(runner.visualizer, pairs_of(data_batch, self.pairs), self.view_width)
        runner.visualizer.add_image("training_pairs", picture, step=runner.iter + 1)

    def _take(self, runner: Runner, outputs: Sequence[TrackDataSample], dataloader: Any) -> None:
        classes = (getattr(dataloader.dataset, "metainfo", None) or {}).get("classes", ())
        self._safely(runner, "tracked frames", lambda: self._tracked.take(outputs, classes))

    def _add_sheets(self, runner: Runner) -> None:
        """Steps count as those of the metrics do: the epochs done, or the iterations."""
        self._warn_of_missing(runner)
        step = runner.epoch if runner.log_processor.by_epoch else runner.iter
        for video, sheet in self._tracked.sheets():
            name = re.sub(r"[^\w.-]+", "-", video)  # it becomes part of a file name
            runner.visualizer.add_image(f"tracks_{name}", sheet, step=step)

    def _warn_of_missing(self, runner: Runner) -> None:
        """Say once which videos that were named did not come, and which there are."""
        missing, there = self._tracked.missing()
        if not missing or not there or self._told_missing:
            return
        self._told_missing = True
        known = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "")
        runner.logger.warning(
            f"TrackingVisualizationHook: videos: {', '.join(missing)}: not among those tested here ({known})"
        )

    def _safely(self, runner: Runner, kind: str, draw: Callable[[], None]) -> None:
        """Run ``draw`` on the first process; after a failure never again in this run."""
        if kind in self._off or not is_main_process():
            return
        try:
            draw()
        except Exception as error:  # a picture is not worth a run, whatever is wrong with it
            self._off.add(kind)
            told = (str(error).splitlines() or ["no details"])[0]
            runner.logger.warning(
                f"TrackingVisualizationHook: no pictures of {kind} from here on ({type(error).__name__}: {told})"
            )
