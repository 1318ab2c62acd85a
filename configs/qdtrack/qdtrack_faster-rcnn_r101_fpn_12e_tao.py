# The second step of QDTrack on TAO (section 4.2): the detector stays as it is, embeddings learn from pairs of TAO's
# frames. Public weights of this recipe fit this file; metafile.yml has their address.
_base_ = "./qdtrack_faster-rcnn_r101_fpn_24e_lvis.py"
load_from = "work_dirs/qdtrack_faster-rcnn_r101_fpn_24e_lvis/epoch_24.pth"
model = dict(freeze_detector=True)
train_dataloader = dict(dataset=dict(dataset={**_base_.pop("tao_train"), "_delete_": True}))
train_cfg = dict(max_epochs=12)
optim_wrapper = dict(optimizer=dict(lr=0.002), clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", by_epoch=True, milestones=[8, 11], gamma=0.1),
]
