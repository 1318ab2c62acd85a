# The same model on ResNet-101, from ImageNet weights.
_base_ = "./qdtrack_faster-rcnn_r50_fpn.py"
weights = "torchvision://resnet101"  # of the backbone; downloaded when training starts
model = dict(detector=dict(backbone=dict(depth=101, init_cfg=dict(checkpoint=weights))))
