# BDD100K as QDTrack trains on it (section 4.1): pairs of frames of the tracking set, and stills of the detection set
# as pairs of one picture. docs/data.md has the commands that convert them.
_base_ = "./plain_pairs.py"
data_root = "data/bdd100k/"
# The order of BDD100K's own tools (bdd100k.label.to_coco); the public weights' may differ, see the README.
classes = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
input_size = (1296, 720)  # width, height in pixels: 1280 x 720 pictures stay as they are

resize = dict(type="Resize", scale=input_size, keep_ratio=True)
resize_all = dict(type="TransformBroadcaster", transforms=[resize])
tracking_set = dict(
    type="CocoPairDataset",
    data_root=data_root,
    ann_file="annotations/box_track_20_train.json",
    data_prefix=dict(img_path="images/track/train/"),
    metainfo=dict(classes=classes),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=[*_base_.pair_pipeline[:2], resize_all, *_base_.pair_pipeline[2:]],
)
detection_set = dict(
    type="CocoDetectionDataset",
    data_root=data_root,
    ann_file="annotations/det_20_train.json",
    data_prefix=dict(img="images/100k/train/"),
    metainfo=dict(classes=classes),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=[*_base_.still_pipeline[:2], resize, *_base_.still_pipeline[2:]],
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type="MixSampler", weights=[1, 1]),  # shares of either set in an epoch
    dataset=dict(_delete_=True, type="ConcatDataset", datasets=[tracking_set, detection_set]),
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/box_track_20_val.json",
        data_prefix=dict(img_path="images/track/val/"),
        metainfo=dict(classes=classes),
        pipeline=[_base_.test_pipeline[0], resize_all, _base_.test_pipeline[1]],
    )
)
test_dataloader = val_dataloader
# The eight classes and the regions in which nothing counts; mMOTA and mIDF1 are among the numbers.
val_evaluator = dict(
    ann_file=data_root + "annotations/box_track_20_val.json", classes=None, distractors=None, protocol="bdd100k"
)
test_evaluator = val_evaluator
del resize, resize_all, tracking_set, detection_set  # they stand in the loaders
