"""The operator's models: named on the command line, loaded when first wanted, lent to one job at a time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clmot_qd.errors import InputError, expecting_form, one_line

if TYPE_CHECKING:
    from clmot_qd.apis.tracking_session import TrackingSession

# Temperature of the bi-softmax for embeddings of unit length that were trained with a loss that has none.
UNIT_TEMPERATURE = 0.1


@dataclass(frozen=True)
class Model:
    """One choice of the page.

    Attributes:
        name: What the page calls it.
        config: Path or packaged name of its configuration.
        checkpoint: Its weights.
        found: It was not named, but found in a folder of runs, and is left out where it cannot be used.
    """

    name: str
    config: str
    checkpoint: str
    found: bool = False


@dataclass(frozen=True)
class ModelFacts:
    """What the page needs to know of a model before it is loaded; read from its configuration.

    Attributes:
        classes: Names by label.
        tracker: Configuration of its own tracker.
        score_floor: Score below which its detector drops what it finds.
        temperature: For a bi-softmax over its embeddings; None: dot products.
    """

    classes: tuple[str, ...]
    tracker: dict[str, Any] = field(default_factory=dict)
    score_floor: float = 0.0
    temperature: float | None = None


# ---- the command line --------------------------------------------------------------------------------------------


def models_of(config: str | None, checkpoint: str | None, pairs: Sequence[str], runs: str | None) -> list[Model]:
    """All that the command line names, in this order.

    Args:
        config, checkpoint: One model; both or neither.
        pairs: ``NAME=CONFIG,CHECKPOINT`` each.
        runs: A folder of training runs.

    Raises:
        InputError: Half of a model is named, or :func:`parse_model` or :func:`find_runs` refuse theirs.
    """
    if bool(config) != bool(checkpoint):
        raise InputError("--config and --checkpoint make a model together: give both")
    single = [Model(Path(config).stem, config, checkpoint)] if config and checkpoint else []
    return [*single, *map(parse_model, pairs), *(find_runs(runs) if runs else [])]


def parse_model(text: str) -> Model:
    """``NAME=CONFIG,CHECKPOINT`` -> model.

    Raises:
        InputError: It is not of this form.
    """
    name, equals, rest = text.partition("=")
    config, comma, checkpoint = rest.rpartition(",")
    if not (equals and comma and name.strip() and config.strip() and checkpoint.strip()):
        raise InputError(f"--model {text}: write NAME=CONFIG,CHECKPOINT")
    return Model(name.strip(), config.strip(), checkpoint.strip())


def find_runs(folder: str) -> list[Model]:
    """The training runs in a folder: sub-folders, or the folder itself, with one configuration and a checkpoint.

    Raises:
        InputError: There is none.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"--runs {folder}: no such folder")
    found = [model for path in (root, *sorted(root.iterdir())) if path.is_dir() and (model := _run_in(path))]
    if not found:
        raise InputError(f"--runs {folder}: neither it nor a folder in it holds a configuration (.py) and a checkpoint")
    return found


def _run_in(folder: Path) -> Model | None:
    configs, checkpoint = sorted(folder.glob("*.py")), _checkpoint_in(folder)
    if len(configs) != 1 or checkpoint is None:
        return None
    return Model(folder.resolve().name, str(configs[0]), str(checkpoint), found=True)


def _checkpoint_in(folder: Path) -> Path | None:
    """``final.pth``, else the best by validation, else the one that the run wrote last."""
    final, best = folder / "final.pth", sorted(folder.glob("best_*.pth"))
    if final.is_file():
        return final
    others = sorted(folder.glob("*.pth"), key=lambda path: path.stat().st_mtime)
    found = best or others
    return found[-1] if found else None


def check_models(models: Sequence[Model]) -> None:
    """Refuse what would show only when a visitor chooses it.

    Raises:
        InputError: There is no model, two have one name, or a checkpoint is missing.
    """
    if not models:
        raise InputError("no model: give --config and --checkpoint, --model NAME=CONFIG,CHECKPOINT or --runs FOLDER")
    names = [model.name for model in models]
    for model in models:
        if names.count(model.name) > 1:
            raise InputError(f"two models are called '{model.name}': name them with --model NAME=CONFIG,CHECKPOINT")
        if not Path(model.checkpoint).is_file():
            raise InputError(f"{model.checkpoint}: no such checkpoint (model '{model.name}')")


# ---- the configuration -------------------------------------------------------------------------------------------


def read_all_facts(models: Sequence[Model]) -> dict[str, ModelFacts]:
    """What is known of each model that can be used, by its name; a run that was found and cannot is warned about.

    Raises:
        InputError: A model that was named cannot be used, or no model is left.
    """
    facts = {}
    for model in models:
        try:
            facts[model.name] = read_facts(model)
        except InputError as error:
            if not model.found:
                raise
            print(f"warning: {Path(model.config).parent} is left out: {error}", file=sys.stderr)
    if not facts:
        raise InputError("no model is left: none of the runs can be used, as the warnings say")
    return facts


def read_facts(model: Model) -> ModelFacts:
    """Read a model's configuration.

    Raises:
        InputError: It cannot be read, or has no tracker; names the model.
    """
    try:
        with expecting_form(lambda: "the configuration"):
            return _facts_of(model)
    except InputError as error:
        refused = one_line(error)
    # Not raised from the first error, whose text does not name the model.
    raise InputError(f"model '{model.name}' ({model.config}): {refused}")


def _facts_of(model: Model) -> ModelFacts:
    from clmot_qd.apis.class_lists import configured_classes
    from clmot_qd.apis.running import load_config, require_keys

    config = load_config(model.config)
    require_keys(config, "test_dataloader")
    if not config.model.get("tracker"):
        raise InputError("model.tracker is not set: a detector alone cannot track")
    rules: dict[str, Any] = config.model.detector.get("test_cfg") or {}
    return ModelFacts(
        classes=tuple(configured_classes(config.test_dataloader.dataset)),
        tracker=config.model.tracker.to_dict(),
        score_floor=float(rules.get("rcnn", rules).get("score_thr", 0.0)),
        temperature=_temperature(config.model),
    )


def _temperature(model: Any) -> float | None:
    """Of the loss that compared embeddings at unit length; None where dot products were trained."""
    if not model.get("unit_embeds", model.type == "CLMOT"):
        return None
    losses = model.get("loss_embed") or []
    for loss in losses if isinstance(losses, list) else [losses]:
        if "temperature" in loss:
            return float(loss["temperature"])
    return UNIT_TEMPERATURE


# ---- the loaded ones ---------------------------------------------------------------------------------------------


def load_session(model: Model, device: str) -> TrackingSession:
    """Build a model and load its weights.

    Raises:
        InputError: Configuration or checkpoint are malformed, or do not belong together.
    """
    from clmot_qd.apis.inferencer import TrackingInferencer

    return TrackingInferencer(model.config, model.checkpoint, device)


class ModelStore:
    """Keeps the models that were used last.

    A model serves one job at a time, as it works through one batch at a time; where two jobs want the same one at the
    same time, it is loaded twice.

    Args:
        models: The choices.
        load: Builds one of them.
        keep: Models to keep loaded while no job uses them.
    """

    def __init__(self, models: Sequence[Model], load: Callable[[Model], TrackingSession], keep: int = 2) -> None:
        if keep < 0:
            raise InputError(f"--keep-models {keep}: must be at least 0")
        self._models = {model.name: model for model in models}
        self._load, self._keep = load, keep
        self._idle: list[tuple[str, TrackingSession]] = []  # the one used last at the end
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, name: str) -> Iterator[TrackingSession]:
        """Lend a model for the time of the block.

        Raises:
            InputError: There is no such choice, or it cannot be loaded.
        """
        if name not in self._models:
            raise InputError("this model is not offered here: choose one of the list")
        session = self._take(name) or self._load(self._models[name])
        try:
            yield session
        finally:
            with self._lock:
                self._idle.append((name, session))
                del self._idle[: max(0, len(self._idle) - self._keep)]

    def _take(self, name: str) -> TrackingSession | None:
        with self._lock:
            for index, (idle, session) in enumerate(self._idle):
                if idle == name:
                    del self._idle[index]
                    return session
            # Room for the one that is about to be loaded.
            del self._idle[: max(0, len(self._idle) + 1 - self._keep)]
        return None
