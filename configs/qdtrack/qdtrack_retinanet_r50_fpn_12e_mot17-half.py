# QDTrack on RetinaNet, halves of MOT17; half the learning rate, as the detector's own training.
_base_ = [
    "../_base_/models/qdtrack_retinanet_r50_fpn.py",
    "../_base_/datasets/mot17_half_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))
