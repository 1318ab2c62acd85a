# QDTrack on Cascade R-CNN, halves of MOT17.
_base_ = [
    "../_base_/models/qdtrack_cascade-rcnn_r50_fpn.py",
    "../_base_/datasets/mot17_half_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
