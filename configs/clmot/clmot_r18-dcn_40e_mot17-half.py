# CL-MOT on ResNet-18 with deformable convolutions.
# ImageNet weights: --cfg-options model.detector.backbone.init_cfg.type=Pretrained
# model.detector.backbone.init_cfg.checkpoint=FILE
_base_ = [
    "../_base_/models/clmot_resnet.py",
    "../_base_/datasets/mot17_half.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
model = dict(
    detector=dict(
        backbone=dict(depth=18),
        neck=dict(in_channels=512, use_dcn=True),
    )
)
