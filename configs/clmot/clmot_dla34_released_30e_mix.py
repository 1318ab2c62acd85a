# The released code where it differs from the paper: NT-Xent, one mean over the batch, its fixed task weights, 30
# epochs with drops at 20 and 27, batch 12, confidence 0.6.
_base_ = "./clmot_dla34_40e_mix.py"
epochs, drops, batch_size = 30, [20, 27], 12
model = dict(
    loss_embed=dict(_delete_=True, type="NTXentPairLoss", temperature=0.5),
    contrast_average="batch",
    # 1/2 (exp(1.85) L_det + exp(1.05) L_id - 2.9): the release declares these weights learnable and then freezes them
    task_weighting=dict(_delete_=True, type="UncertaintyTaskWeighting", learnable=False),
    tracker=dict(conf_thr=0.6),
)
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=epochs)
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=drops, gamma=0.1)]
auto_scale_lr = dict(base_batch_size=batch_size)
