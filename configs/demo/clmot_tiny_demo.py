# CL-MOT small enough to learn the demo data from scratch in minutes on two CPU cores, without identities: a ResNet-18
# of a quarter of the channels (DLA computes at full resolution, which a CPU feels) under DLANeck without DCN.
# Data: python tools/make_demo_data.py --speed 0.5 --train-sequences 36 --train-frames 10
_base_ = [
    "../_base_/models/clmot_dla34.py",
    "../_base_/datasets/demo.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
width = 16  # channels of the first stage; ResNet-18 has 64
embed_channels = 64
epochs, drop = 20, 15

model = dict(
    detector=dict(
        backbone=dict(
            _delete_=True, type="ResNet", depth=18, base_channels=width, stem_channels=width, norm_eval=False
        ),
        neck=dict(in_channels=(width, 2 * width, 4 * width, 8 * width), use_dcn=False),
        bbox_head=dict(in_channels=width, feat_channels=64, embed_channels=embed_channels),
    ),
    # From scratch at this learning rate triplets first pull everything to one point; NT-Xent does not.
    loss_embed=dict(_delete_=True, type="NTXentPairLoss", temperature=0.1),
    # Four pictures a second: people jump, so the gate is wider, motion weighs less (better for motion alone as well),
    # and the remembered appearance follows faster.
    tracker=dict(gate_thr=50.0, motion_weight=0.004, momentum=0.7),
)
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type="MultiStepLR", by_epoch=True, milestones=[drop], gamma=0.1),
]
default_hooks = dict(logger=dict(interval=15), checkpoint=dict(interval=4, max_keep_ckpts=1))
