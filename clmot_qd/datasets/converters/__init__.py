"""Annotation files of many data sets -> one CocoVID file."""

from .catalogue import DataSet, Option, data_sets
from .conversion import Conversion, convert
from .report import Report
from .source import Box, Counts, Frame, Source
from .tables import format_conversion

__all__ = [
    "Box",
    "Conversion",
    "Counts",
    "DataSet",
    "Frame",
    "Option",
    "Report",
    "Source",
    "convert",
    "data_sets",
    "format_conversion",
]
