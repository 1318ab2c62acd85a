"""What of a checkpoint fits a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    StateDict = dict[str, Tensor]

# Parts of a detector whose shapes do not depend on the number of classes.
CLASSLESS = ("detector.backbone.", "detector.neck.")


@dataclass
class FitReport:
    """How a state dict fits a model.

    Attributes:
        missing: Keys of the model that the state dict lacks.
        unexpected: Keys of the state dict that the model lacks.
        mismatched: (key, shape in the file, shape in the model).
        matched: Number of tensors that fit.
    """

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    matched: int = 0

    def __str__(self) -> str:
        """The report as a person reads it: a line of counts, then every key that does not fit."""
        lines = [self.counts]
        lines += [f"  missing     {key}" for key in self.missing]
        lines += [f"  unexpected  {key}" for key in self.unexpected]
        lines += [f"  shape       {key}: file {list(a)}, model {list(b)}" for key, a, b in self.mismatched]
        return "\n".join(lines)

    @property
    def counts(self) -> str:
        """The report in one line."""
        return (
            f"{self.matched} tensors fit, {len(self.missing)} missing, {len(self.unexpected)} unexpected, "
            f"{len(self.mismatched)} of another shape"
        )


def compare_with_model(state_dict: Mapping[str, Tensor], model: nn.Module) -> FitReport:
    """Compare names and shapes of ``state_dict`` with those of ``model``; nothing is loaded.

    ``num_batches_tracked`` counters are not reported as missing: old files lack them and nothing depends on them.
    """
    own = model.state_dict()
    report = FitReport()
    for key, value in own.items():
        if key not in state_dict:
            if not key.endswith("num_batches_tracked"):
                report.missing.append(key)
        elif tuple(state_dict[key].shape) != tuple(value.shape):
            report.mismatched.append((key, tuple(state_dict[key].shape), tuple(value.shape)))
        else:
            report.matched += 1
    report.unexpected = [key for key in state_dict if key not in own]
    return report


def of_other_classes(state_dict: Mapping[str, Tensor], model: nn.Module) -> list[str]:
    """Keys of head tensors whose number of outputs alone differs from the model's: made for another list of classes."""
    mismatched = compare_with_model(state_dict, model).mismatched
    return [key for key, a, b in mismatched if not key.startswith(CLASSLESS) and a[1:] == b[1:]]
