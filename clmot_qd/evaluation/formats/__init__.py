"""Result formats: MOT text, BDD100K, TAO and CocoVID, each with ``write`` and ``read``."""

from .registry import FORMATS, ResultFormat, detect_format, read_predictions, write_results_in

__all__ = ["FORMATS", "ResultFormat", "detect_format", "read_predictions", "write_results_in"]
