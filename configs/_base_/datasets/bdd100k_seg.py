# BDD100K's segmentation tracking (QDTrack, section 4.6): pairs of frames of the 154 videos, and the stills of the
# instance segmentation set as pairs of one picture, as in the public recipe. docs/data.md has the commands that
# convert them.
_base_ = "./plain_mask_pairs.py"
data_root = "data/bdd100k/"
# The order of BDD100K's own tools and of bdd100k.py, so that weights trained on the tracking set fit.
classes = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
input_size = (1296, 720)  # width, height in pixels: 1280 x 720 pictures stay as they are

resize = dict(type="Resize", scale=input_size, keep_ratio=True)
resize_all = dict(type="TransformBroadcaster", transforms=[resize])
tracking_set = dict(
    type="CocoPairDataset",
    data_root=data_root,
    ann_file="annotations/seg_track_20_train.json",
    data_prefix=dict(img_path="images/seg_track_20/train/"),
    metainfo=dict(classes=classes),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=[*_base_.pair_pipeline[:2], resize_all, *_base_.pair_pipeline[2:]],
)
instance_set = dict(
    type="CocoDetectionDataset",
    data_root=data_root,
    ann_file="annotations/ins_seg_train.json",
    data_prefix=dict(img="images/10k/train/"),
    metainfo=dict(classes=classes),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=[*_base_.still_pipeline[:3], resize, *_base_.still_pipeline[3:]],
)
train_dataloader = dict(dataset=dict(_delete_=True, type="ConcatDataset", datasets=[tracking_set, instance_set]))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/seg_track_20_val.json",
        data_prefix=dict(img_path="images/seg_track_20/val/"),
        metainfo=dict(classes=classes),
        pipeline=[_base_.test_pipeline[0], resize_all, _base_.test_pipeline[1]],
    )
)
test_dataloader = val_dataloader
# mMOTSA, mMOTSP and mIDF1 over the eight classes are among the numbers.
val_evaluator = dict(
    ann_file=data_root + "annotations/seg_track_20_val.json", classes=None, distractors=None, protocol="bdd100k"
)
test_evaluator = val_evaluator
del resize, resize_all, tracking_set, instance_set  # they stand in the loaders
