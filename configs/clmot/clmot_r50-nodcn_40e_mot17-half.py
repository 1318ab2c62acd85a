# CL-MOT on ResNet-50 without deformable convolutions.
_base_ = "./clmot_r18-dcn_40e_mot17-half.py"
model = dict(detector=dict(backbone=dict(depth=50), neck=dict(in_channels=2048, use_dcn=False)))
