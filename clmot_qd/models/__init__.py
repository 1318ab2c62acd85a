"""Networks, losses and tracking models; importing it registers them in mmdet's registries."""

from clmot_qd.models import losses
from clmot_qd.models.backbones import DLA
from clmot_qd.models.heads import CenterEmbedHead, QuasiDenseHead
from clmot_qd.models.mixed_precision import BFloat16OptimWrapper
from clmot_qd.models.mot import CLMOT, QuasiDenseMOT
from clmot_qd.models.necks import DLANeck
from clmot_qd.models.samplers import SteadyIoUBalancedNegSampler

__all__ = [
    "CLMOT",
    "DLA",
    "BFloat16OptimWrapper",
    "CenterEmbedHead",
    "DLANeck",
    "QuasiDenseHead",
    "QuasiDenseMOT",
    "SteadyIoUBalancedNegSampler",
    "losses",
]
