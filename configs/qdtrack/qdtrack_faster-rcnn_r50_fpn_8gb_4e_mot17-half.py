# What this run changes: one card of 8 GB. Two pairs at a time, eight times before a step: 16 in a step, as in the
# recipe for eight GPUs, and so its learning rate. Checkpointed stages leave room for square pictures.
# Memory: docs/memory_and_time.md.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_4e_mot17-half.py"
accumulated = 8

model = dict(detector=dict(backbone=dict(with_cp=True)))
optim_wrapper = dict(accumulative_counts=accumulated)
auto_scale_lr = dict(enable=False)  # it would not know of the accumulation
