"""Searching the settings of a tracker on stored detections, without the network."""

from .holdout import Part, split
from .objective import METRICS, Objective
from .optuna_proposer import OptunaProposer
from .plot import plot_search
from .report import comparison_lines, snippet, trial_table
from .search import GridProposer, Search, Trial, tune
from .space import Range, Space, grid_points, parse_grid, parse_space

__all__ = [
    "METRICS",
    "GridProposer",
    "Objective",
    "OptunaProposer",
    "Part",
    "Range",
    "Search",
    "Space",
    "Trial",
    "comparison_lines",
    "grid_points",
    "parse_grid",
    "parse_space",
    "plot_search",
    "snippet",
    "split",
    "trial_table",
    "tune",
]
