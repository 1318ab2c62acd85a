# The second step of QDTrack on TAO, on ResNet-101 with deformable convolutions.
_base_ = "./qdtrack_faster-rcnn_r101_fpn_12e_tao.py"
load_from = "work_dirs/qdtrack_faster-rcnn_r101-dcn_fpn_24e_lvis/epoch_24.pth"
model = dict(
    detector=dict(
        backbone=dict(
            dcn=dict(type="DCN", deform_groups=1, fallback_on_stride=False),
            stage_with_dcn=(False, True, True, True),
        )
    )
)
