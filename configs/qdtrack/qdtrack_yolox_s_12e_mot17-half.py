# QDTrack on YOLOX-s, halves of MOT17. Without Mosaic and MixUp, which know no pairs; a small learning rate, since the
# detector has learned already.
_base_ = [
    "../_base_/models/qdtrack_yolox_s.py",
    "../_base_/datasets/mot17_half_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
optim_wrapper = dict(
    optimizer=dict(lr=0.001, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
