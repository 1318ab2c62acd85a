# CL-MOT Table 5: ten more epochs on MOT17 after the mix. The paper gives no learning rate for them; 1e-5 is the
# release's for its MOT15 fine-tuning.
_base_ = [
    "../_base_/models/clmot_dla34.py",
    "../_base_/datasets/mot17.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
load_from = "work_dirs/clmot_dla34_40e_mix/epoch_40.pth"
epochs = 10
train_cfg = dict(max_epochs=epochs)
optim_wrapper = dict(optimizer=dict(lr=1e-5))
param_scheduler = []
