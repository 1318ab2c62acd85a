"""mmcv's RoIAlign and deformable convolutions on CPUs, faster and with equal results, forwards and backwards."""

from clmot_qd.ops.deform_conv import Sampling, deform_conv2d
from clmot_qd.ops.dispatch import FastSingleRoIExtractor, fast_cpu_operators, mmcv_operators
from clmot_qd.ops.region_pooling import Pooling, roi_align

__all__ = [
    "FastSingleRoIExtractor",
    "Pooling",
    "Sampling",
    "deform_conv2d",
    "fast_cpu_operators",
    "mmcv_operators",
    "roi_align",
]
