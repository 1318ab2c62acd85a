# QDTrack on BDD100K's segmentation tracking (Table 6 "Ours"): detector, embeddings and masks learn together, from a
# Mask R-CNN that was trained on ImageNet, COCO and Cityscapes, whose eight classes are the same in the same order.
_base_ = [
    "../_base_/models/qdtrack_mask-rcnn_r50_fpn.py",
    "../_base_/datasets/bdd100k_seg.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
# Of the detector; downloaded when training starts.
weights = (
    "https://download.openmmlab.com/mmdetection/v2.0/cityscapes/mask_rcnn_r50_fpn_1x_cityscapes/"
    "mask_rcnn_r50_fpn_1x_cityscapes_20201211_133733-d2858245.pth"
)
num_classes = 8
model = dict(
    detector=dict(
        init_cfg=dict(type="Pretrained", checkpoint=weights),
        backbone=dict(init_cfg=None),
        roi_head=dict(bbox_head=dict(num_classes=num_classes), mask_head=dict(num_classes=num_classes)),
    )
)
