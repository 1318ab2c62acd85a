# CL-MOT on ResNet-34 without deformable convolutions.
_base_ = "./clmot_r18-dcn_40e_mot17-half.py"
model = dict(detector=dict(backbone=dict(depth=34), neck=dict(use_dcn=False)))
