"""Builders of the data set tests are used here as well."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "datasets"))
sys.path.append(str(Path(__file__).parents[1] / "visualization"))
