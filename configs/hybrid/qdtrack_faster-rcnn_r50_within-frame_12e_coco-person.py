# A tracker from a detection set: QDTrack on two views of each COCO image with people, no videos, no identities.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50_fpn.py",
    "../_base_/datasets/coco_person.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
train_dataloader = dict(batch_size=2)  # pairs, on each of 8 GPUs
