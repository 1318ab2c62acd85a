# QDTrack with masks on KITTI-MOTS, cars and pedestrians, from Mask R-CNN's COCO weights (its heads are for 80 classes
# and start anew).
_base_ = [
    "../_base_/models/qdtrack_mask-rcnn_r50_fpn.py",
    "../_base_/datasets/kitti_mots.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
# Of the detector; downloaded when training starts.
weights = (
    "https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/mask_rcnn_r50_fpn_1x_coco/"
    "mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth"
)
num_classes = 2
model = dict(
    detector=dict(
        init_cfg=dict(type="Pretrained", checkpoint=weights),
        backbone=dict(init_cfg=None),
        roi_head=dict(bbox_head=dict(num_classes=num_classes), mask_head=dict(num_classes=num_classes)),
    )
)
