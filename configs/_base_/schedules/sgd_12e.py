# QDTrack section 4.2: SGD, 0.02 for 16 pictures in a step, 12 epochs, divided by 10 after 8 and 11. The warm-up is the
# release's.
train_cfg = dict(type="ResumableEpochLoop", max_epochs=12, val_interval=2)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", by_epoch=True, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(enable=True, base_batch_size=16)  # fewer pictures in a step: a smaller rate
