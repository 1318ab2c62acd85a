# CL-MOT section 5.2: Adam, 1e-4, 40 epochs, divided by 10 after 20 and 30.
train_cfg = dict(type="ResumableEpochLoop", max_epochs=40, val_interval=10)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-4))
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[20, 30], gamma=0.1)]
auto_scale_lr = dict(enable=False, base_batch_size=8)
