# The public recipes for MOT17: 4 epochs, divided by 10 after 3, gradients clipped, no warm-up.
_base_ = "./sgd_12e.py"
train_cfg = dict(max_epochs=4, val_interval=4)
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[3], gamma=0.1)]
