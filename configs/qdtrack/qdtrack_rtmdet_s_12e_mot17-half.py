# QDTrack on RTMDet-s, halves of MOT17. Without Mosaic and MixUp, which know no pairs; AdamW as in the detector's own
# training, at the rate for 16 pictures in a step.
_base_ = [
    "../_base_/models/qdtrack_rtmdet_s.py",
    "../_base_/datasets/mot17_half_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=2.5e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, bypass_duplicate=True),
    clip_grad=dict(max_norm=35, norm_type=2),
)
