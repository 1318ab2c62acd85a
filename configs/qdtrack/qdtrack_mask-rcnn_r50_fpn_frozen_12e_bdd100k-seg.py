# QDTrack Table 6 "Ours (frozen)": the model of the tracking set, whose boxes, embeddings and identities stay as they
# are, learns masks in single frames.
_base_ = [
    "../_base_/models/qdtrack_mask-rcnn_r50_fpn.py",
    "../_base_/datasets/bdd100k_seg_frames.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
load_from = "work_dirs/qdtrack_faster-rcnn_r50_fpn_12e_bdd100k/epoch_12.pth"
num_classes = 8
model = dict(
    train_masks_only=True,
    detector=dict(roi_head=dict(bbox_head=dict(num_classes=num_classes), mask_head=dict(num_classes=num_classes))),
)
auto_scale_lr = dict(base_batch_size=32)  # frames in a step
