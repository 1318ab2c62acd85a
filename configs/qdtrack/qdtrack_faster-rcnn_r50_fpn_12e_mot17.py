# QDTrack Table 1 on MOT17: the paper's 12 epochs from a COCO detector. The paper scores on the benchmark's server.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50-caffe_fpn.py",
    "../_base_/datasets/mot17_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
