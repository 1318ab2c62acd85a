# CL-MOT's network and triplets on pairs of neighbouring frames with identities instead of two views of one frame.
_base_ = [
    "../_base_/models/clmot_dla34.py",
    "../_base_/datasets/mot17_half_pairs.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
train_dataloader = dict(batch_size=8)  # as the schedule expects
