# What this run changes (QDTrack section 4.6, Table 6 "frozen"): a tracker of boxes learns masks, from frames by
# themselves. All but the mask head stays as qdtrack_tiny_demo.py left it, so boxes and identities stay, bit for bit.
# Weights: CONFIG=qdtrack_tiny_demo bash tools/demo.sh
_base_ = "./qdtrack_mask-rcnn_tiny_demo.py"
load_from = "demo_out/qdtrack_tiny_demo-seed0/final.pth"
epochs, drop = 8, 6

model = dict(train_masks_only=True)
train_dataloader = dict(
    dataset=dict(
        type="CocoIdentityDataset",
        require_ids=False,
        ann_file="annotations/train.json",
        data_prefix=dict(_delete_=True, img="train/"),
        pipeline=_base_.mask_frame_pipeline,
    ),
)
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type="MultiStepLR", by_epoch=True, milestones=[drop], gamma=0.1),
]
