"""Samplers for data loaders."""

from .mix_sampler import MixSampler
from .video_sampler import VideoSampler

__all__ = ["MixSampler", "VideoSampler"]
