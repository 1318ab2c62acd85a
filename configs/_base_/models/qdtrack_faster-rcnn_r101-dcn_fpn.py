# QDTrack section 4.3 on Waymo: ResNet-101 with deformable convolutions (in its last three stages).
_base_ = "./qdtrack_faster-rcnn_r101_fpn.py"
model = dict(
    detector=dict(
        backbone=dict(
            dcn=dict(type="DCN", deform_groups=1, fallback_on_stride=False),
            stage_with_dcn=(False, True, True, True),
        )
    )
)
