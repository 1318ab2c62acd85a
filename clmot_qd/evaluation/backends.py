"""The public packages that compute the metrics, each called on the same :class:`ScoringInput`.

``trackeval``
    HOTA, CLEAR and Identity. The reference for MOTChallenge and BDD100K.
``motmetrics``
    CLEAR and Identity by py-motmetrics, with pairs kept as the MOTChallenge does: from the frame before only. It agrees
    with trackeval in every count but MT: an object is mostly tracked from 80 % of its life on, there above 80 %.
``motmetrics-plain``
    py-motmetrics as it is: an object stays with its last partner as long as both overlap enough, also across frames in
    which it was missed. FairMOT and CL-MOT computed their numbers so, and BDD100K's toolkit does.
``waymo``
    MOTA and MOTP as Waymo's tool counts them: :mod:`clmot_qd.evaluation.backend_waymo`. For any protocol.

Percentages are 0 to 100 (MOTA may be negative), the rest are counts.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from clmot_qd.errors import InputError
from clmot_qd.evaluation.backend_motmetrics import MotmetricsBackend
from clmot_qd.evaluation.backend_trackeval import TrackevalBackend
from clmot_qd.evaluation.backend_waymo import WaymoBackend
from clmot_qd.evaluation.scoring_input import ScoringInput

OVERALL = "OVERALL"
#: Metric -> value. Floats are percentages, integers are counts.
Scores = dict[str, float]
#: Sequence, or OVERALL -> scores.
SequenceScores = dict[str, Scores]
#: What a backend has counted; only itself can read it.
Counts = Any


class Backend(Protocol):
    """How one package scores: it counts sequences, adds counts up, and reads metrics off them."""

    #: The package to import.
    package: str

    def count(self, name: str, data: ScoringInput) -> Counts:
        """Count one sequence."""

    def pool(self, parts: Mapping[str, Counts]) -> Counts:
        """Add up the counts of sequences, or of classes."""

    def mean(self, parts: Mapping[str, Counts]) -> Scores:
        """Return the mean of the metrics of all classes; of a class that does not occur they are 0."""

    def scores(self, counts: Counts) -> Scores:
        """Return the metrics."""


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        "trackeval": TrackevalBackend(),
        "motmetrics": MotmetricsBackend(keep_pairs=False),
        "motmetrics-plain": MotmetricsBackend(keep_pairs=True),
        "waymo": WaymoBackend(),
    }
)


def require_backends(names: Sequence[str]) -> None:
    """Check that the backends are known and can be imported, before hours of testing and not after.

    Raises:
        InputError: One is not.
    """
    if not names:
        raise InputError(f"backends is empty; choose from {', '.join(BACKENDS)}")
    for name in names:
        if name not in BACKENDS:
            raise InputError(f"backends: {name!r} is unknown; choose from {', '.join(BACKENDS)}")
        package = BACKENDS[name].package
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise InputError(f"backends: {package} cannot be imported ({error}); run: pip install {package}") from error
