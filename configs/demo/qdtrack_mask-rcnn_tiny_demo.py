# What this run changes on qdtrack_tiny_demo.py: a mask head. Boxes, identities and masks, all learnt from scratch.
# Data: python tools/make_demo_data.py --speed 0.5 --train-sequences 36 --train-frames 10
_base_ = [
    "../_base_/models/qdtrack_mask-rcnn_tiny.py",
    "../_base_/datasets/demo_mask_pairs.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
epochs, drop = 20, 15

train_cfg = dict(max_epochs=epochs, val_interval=epochs)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type="MultiStepLR", by_epoch=True, milestones=[drop], gamma=0.1),
]
default_hooks = dict(logger=dict(interval=15), checkpoint=dict(interval=4, max_keep_ckpts=1))
