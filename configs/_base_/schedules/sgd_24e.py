# The public recipe for LVIS: 24 epochs, divided by 10 after 16 and 22.
_base_ = "./sgd_12e.py"
train_cfg = dict(max_epochs=24)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", by_epoch=True, milestones=[16, 22], gamma=0.1),
]
