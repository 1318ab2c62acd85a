# QDTrack Table 3 on Waymo, ResNet-50.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50_fpn.py",
    "../_base_/datasets/waymo_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
num_classes = 3
model = dict(detector=dict(roi_head=dict(bbox_head=dict(num_classes=num_classes))))
