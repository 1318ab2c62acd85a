# The first step of QDTrack on TAO, on ResNet-50 (the paper's default).
_base_ = "./qdtrack_faster-rcnn_r101_fpn_24e_lvis.py"
weights = "torchvision://resnet50"  # of the backbone; downloaded when training starts
model = dict(detector=dict(backbone=dict(depth=50, init_cfg=dict(checkpoint=weights))))
