# A tracker of masks from an instance segmentation set: QDTrack on two views of each COCO image with people, no videos,
# no identities. Tested on MOTS20.
_base_ = [
    "../_base_/models/qdtrack_mask-rcnn_r50_fpn.py",
    "../_base_/datasets/coco_instance_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
