# BDD100K's segmentation tracking, one frame at a time: what a mask head alone is trained on. Tested as bdd100k_seg.py.
_base_ = "./bdd100k_seg.py"
batch_size = 4  # frames, on each of 8 GPUs: as many as in 2 pairs

resize = dict(type="TransformBroadcaster", transforms=[dict(type="Resize", scale=_base_.input_size, keep_ratio=True)])
frames = dict(
    type="CocoIdentityDataset",
    require_ids=False,
    data_root=_base_.data_root,
    metainfo=dict(classes=_base_.classes),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=[*_base_.frame_pipeline[:4], resize, *_base_.frame_pipeline[4:]],
)
tracking_set = dict(
    **frames, ann_file="annotations/seg_track_20_train.json", data_prefix=dict(img="images/seg_track_20/train/")
)
instance_set = dict(**frames, ann_file="annotations/ins_seg_train.json", data_prefix=dict(img="images/10k/train/"))
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(_delete_=True, type="ConcatDataset", datasets=[tracking_set, instance_set]),
)
del resize, frames, tracking_set, instance_set  # they stand in the loader
