"""Settings proposed by optuna's TPE sampler; optuna is optional (``pip install clmot_qd[tune]``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clmot_qd.apis.tuning.space import Range, Space
from clmot_qd.apis.tuning.trial_files import settings_key
from clmot_qd.errors import InputError


class OptunaProposer:
    """Asks optuna for ``trials`` settings out of a space.

    With one job the same seed gives the same settings; with several it depends on which trial ends first.

    Args:
        space: What to search.
        trials: How many to propose.
        seed: Of the sampler.

    Raises:
        InputError: optuna is not installed, or there is nothing to search.
    """

    def __init__(self, space: Space, trials: int, seed: int = 0) -> None:
        try:
            import optuna
        except ImportError as error:
            raise InputError(
                "--trials needs the package optuna: pip install optuna, or search a --grid, which needs nothing"
            ) from error
        if not space:
            raise InputError("--trials needs a --space to search, e.g. --space match_thr=0.4:0.9 lost_frames=10:60")
        if trials < 1:
            raise InputError(f"--trials {trials}: give the number of trials, 1 or more")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._space, self._left = space, trials
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        self._asked: dict[str, list[Any]] = {}

    def ask(self) -> dict[str, Any] | None:
        """Return the next setting; None after the last."""
        if self._left == 0:
            return None
        self._left -= 1
        trial = self._study.ask()
        settings = {key: _suggest(trial, key, entry) for key, entry in self._space.items()}
        self._asked.setdefault(settings_key(settings), []).append(trial)
        return settings

    def tell(self, settings: Mapping[str, Any], value: float | None) -> None:
        """Take note of a result; the default setting, which nobody asked for, is left alone."""
        asked = self._asked.get(settings_key(settings))
        if asked:
            failed = self._optuna.trial.TrialState.FAIL if value is None else None
            self._study.tell(asked.pop(), value, state=failed)


def _suggest(trial: Any, key: str, entry: tuple[Any, ...] | Range) -> Any:
    if not isinstance(entry, Range):
        return trial.suggest_categorical(key, list(entry))
    if entry.whole:
        return trial.suggest_int(key, int(entry.low), int(entry.high))
    return min(max(float(f"{trial.suggest_float(key, entry.low, entry.high):.4g}"), entry.low), entry.high)
