"""Result formats, each with ``write`` and ``read``: MOT and MOTS text, BDD100K and its bitmasks, TAO, CocoVID."""

from .registry import FORMATS, ResultFormat, detect_format, read_predictions, write_results_in

__all__ = ["FORMATS", "ResultFormat", "detect_format", "read_predictions", "write_results_in"]
