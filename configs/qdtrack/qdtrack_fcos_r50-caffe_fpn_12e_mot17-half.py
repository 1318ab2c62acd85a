# QDTrack on FCOS, halves of MOT17; learning rates as in the detector's own training.
_base_ = [
    "../_base_/models/qdtrack_fcos_r50-caffe_fpn.py",
    "../_base_/datasets/mot17_half_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
