"""Detections that somebody else made, with or without embeddings: MOT text, CSV, JSON, and our own cache files.

Readers only: no model, no tracker; numpy and the standard library. ``docs/detections.md`` describes the formats.
"""

from .cache_files import CacheFolder, read_cache, write_cache
from .reading import read_detection_file, read_embeddings, read_sequence_detections, video_file, video_name
from .tables import DetectionSet, VideoDetections

__all__ = [
    "CacheFolder",
    "DetectionSet",
    "VideoDetections",
    "read_cache",
    "read_detection_file",
    "read_embeddings",
    "read_sequence_detections",
    "video_file",
    "video_name",
    "write_cache",
]
