# CL-MOT on ResNet-34 without deformable convolutions.
_base_ = [
    "../_base_/models/clmot_resnet.py",
    "../_base_/datasets/mot17_half.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
pretrained = None  # "torchvision://resnet34" downloads ImageNet weights
model = dict(
    detector=dict(
        backbone=dict(depth=34, init_cfg=dict(type="Pretrained", checkpoint=pretrained) if pretrained else None),
        neck=dict(in_channels=512, use_dcn=False),
    )
)
