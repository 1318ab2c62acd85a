# QDTrack as in the paper, on DanceTrack.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50-caffe_fpn.py",
    "../_base_/datasets/dancetrack_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
