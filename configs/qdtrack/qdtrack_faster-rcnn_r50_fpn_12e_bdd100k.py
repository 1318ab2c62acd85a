# QDTrack on BDD100K (Tables 2, 4 and 5): tracking and detection sets together, 12 epochs.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50_fpn.py",
    "../_base_/datasets/bdd100k.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
num_classes = 8
model = dict(detector=dict(roi_head=dict(bbox_head=dict(num_classes=num_classes))))
