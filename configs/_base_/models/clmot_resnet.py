# The same model on ResNet-18 and mmdet's CTResNetNeck: no DLA, deformable convolutions by choice, ImageNet weights from
# the usual zoo.
_base_ = "./clmot_dla34.py"
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    detector=dict(
        backbone=dict(_delete_=True, type="ResNet", depth=18, norm_eval=False, norm_cfg=dict(type="BN")),
        neck=dict(
            _delete_=True,
            type="CTResNetNeck",
            in_channels=512,
            num_deconv_filters=(256, 128, 64),
            num_deconv_kernels=(4, 4, 4),
            use_dcn=True,
        ),
    ),
)
