# QDTrack without identity labels: key and reference are two views of one frame, as in CL-MOT.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50_fpn.py",
    "../_base_/datasets/mot17_half.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
train_dataloader = dict(batch_size=2)  # pairs, on each of 8 GPUs
