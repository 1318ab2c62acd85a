"""What was found wrong in a data set, and what was done about it."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from clmot_qd.errors import InputError

Action = Literal["skipped", "clipped", "kept"]
_PLACES_SHOWN = 3


class Report:
    """Counts remarks by kind and remembers the first places of each.

    Args:
        strict: Refuse the data set at the first box or frame that would be skipped.
    """

    def __init__(self, strict: bool = False) -> None:
        """Start without remarks."""
        self.strict = strict
        self.counts: Counter[tuple[Action, str]] = Counter()
        self._places: dict[tuple[Action, str], list[str]] = {}

    def note(self, action: Action, kind: str, place: str, detail: str = "") -> None:
        """Count one remark.

        Args:
            action: What was done.
            kind: What is wrong, in words that are the same for all remarks of this kind: ``box without an area``.
            place: File and line or entry.
            detail: What stands there.

        Raises:
            InputError: ``strict``, and something would be skipped.
        """
        line = f"{place}: {kind}{f' ({detail})' if detail else ''}"
        if self.strict and action == "skipped":
            raise InputError(f"{line}; mend it, or convert without --strict, which leaves it out and counts it")
        self.counts[action, kind] += 1
        places = self._places.setdefault((action, kind), [])
        if len(places) < _PLACES_SHOWN:
            places.append(f"{place}{f' ({detail})' if detail else ''}")

    def lines(self) -> list[str]:
        """One line for each kind of remark, the most frequent first."""
        result = []
        for (action, kind), count in self.counts.most_common():
            places = "; ".join(self._places[action, kind])
            more = " ..." if count > _PLACES_SHOWN else ""
            result.append(f"{action} {count} x {kind}: {places}{more}")
        return result
