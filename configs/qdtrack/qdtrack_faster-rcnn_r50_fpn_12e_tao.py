# The second step of QDTrack on TAO, on ResNet-50 (the paper's default).
_base_ = "./qdtrack_faster-rcnn_r101_fpn_12e_tao.py"
load_from = "work_dirs/qdtrack_faster-rcnn_r50_fpn_24e_lvis/epoch_24.pth"
weights = "torchvision://resnet50"  # of the backbone; downloaded when training starts
model = dict(detector=dict(backbone=dict(depth=50, init_cfg=dict(checkpoint=weights))))
