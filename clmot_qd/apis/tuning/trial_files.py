"""All trials of a search on disk: trials.json to go on from, trials.csv to look at."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clmot_qd.errors import InputError, expecting_form
from clmot_qd.files import read_json, write_text
from clmot_qd.names import as_cell

if TYPE_CHECKING:
    from clmot_qd.apis.tuning.search import Trial


_ADVICE = "remove it or choose another --out"


def _scores(scores: Mapping[str, float]) -> dict[str, float]:
    return {str(name): float(value) for name, value in scores.items()}


def settings_key(settings: Mapping[str, Any]) -> str:
    """Return one text for equal settings, whatever their order."""
    return json.dumps(dict(settings), sort_keys=True, default=repr)


class TrialFiles:
    """``trials.json`` and ``trials.csv`` in one folder.

    Args:
        folder: The folder; it is made.
        identity: What the scores depend on besides the settings.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self.identity = dict(identity)

    def read(self) -> list[Trial]:
        """Return the trials of an earlier run; none where there was none.

        Raises:
            InputError: They are of another search, or the file is damaged.
        """
        from clmot_qd.apis.tuning.search import Trial

        path = self.folder / "trials.json"
        if not path.exists():
            return []
        content = read_json(path, _ADVICE, _ADVICE)
        with expecting_form(lambda: f"{path}: is no list of trials; {_ADVICE}"):
            identity = dict(content["search"])
            trials = [
                Trial(dict(entry["settings"]), _scores(entry["scores"]), str(entry["note"]))
                for entry in content["trials"]
            ]
        for key, value in self.identity.items():
            if identity.get(key) != value:
                raise InputError(
                    f"{path}: is of a search with another {key} ({identity.get(key)}, now {value}); choose another "
                    "--out or remove it"
                )
        return trials

    def write(self, trials: Sequence[Trial]) -> None:
        """Replace both files, each all or nothing."""
        entries = [dict(settings=dict(t.settings), scores=dict(t.scores), note=t.note) for t in trials]
        write_text(self.folder / "trials.json", json.dumps(dict(search=self.identity, trials=entries), indent=1) + "\n")
        write_text(self.folder / "trials.csv", _csv(trials))


def _csv(trials: Sequence[Trial]) -> str:
    """Return a line per trial: settings, scores, note."""
    settings = list(dict.fromkeys(key for trial in trials for key in trial.settings))
    scores = list(dict.fromkeys(key for trial in trials for key in trial.scores))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *map(as_cell, settings), *map(as_cell, scores), "note"])
    for number, trial in enumerate(trials):
        row = [trial.settings.get(key, "") for key in settings] + [trial.scores.get(key, "") for key in scores]
        writer.writerow([number, *map(_cell, row), as_cell(trial.note)])
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A number as it is; what stands for something else is text."""
    return as_cell(value) if isinstance(value, str) else value
