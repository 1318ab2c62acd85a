# QDTrack as in the paper, on MOT20.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50-caffe_fpn.py",
    "../_base_/datasets/mot20_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
most_boxes = 300  # crowds: up to 246 people in a frame
model = dict(detector=dict(test_cfg=dict(rcnn=dict(max_per_img=most_boxes))))
