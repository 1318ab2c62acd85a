"""Structure of arrays: row i of every array describes thing i."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

Rows = TypeVar("Rows", bound="RowArrays")


@dataclass(eq=False)
class RowArrays:
    """Base of dataclasses whose fields are arrays of one length."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(getattr(self, fields(self)[0].name))

    def select(self: Rows, rows: np.ndarray) -> Rows:
        """Return the rows of a boolean mask or an index array, copied."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def joined(self: Rows, other: Rows) -> Rows:
        """Return these rows followed by ``other``'s."""
        names = [field.name for field in fields(self)]
        return type(self)(**{name: np.concatenate((getattr(self, name), getattr(other, name))) for name in names})
