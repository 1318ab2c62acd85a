# MOT17: trained without identities from two views of each frame, tested video by video.
# Annotations: python tools/mot2cocovid.py, see docs/data.md. CL-MOT section 5.2: 1088x608.
data_root = "data/MOT17/"
classes = ("pedestrian",)
input_size = (1088, 608)  # width, height in pixels, multiples of 32
batch_size = 8
num_workers = 4

two_view_pipeline = [
    dict(type="LoadFrame"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="TrackRandomFlip", prob=0.5),
    dict(type="WithinFrameTwoView", mirror_ref=True),
    dict(
        type="TransformBroadcaster",
        share_random_params=False,
        transforms=[
            dict(type="ColourJitterHSV", fraction=0.5),
            dict(type="Letterbox", scale=input_size),
            dict(
                type="TrackRandomAffine", max_rotate_degree=5, max_translate_ratio=0.1, scaling_ratio_range=(0.5, 1.2)
            ),
        ],
    ),
    dict(type="PackTrackInputs", meta_keys=("pad_param",)),
]
test_pipeline = [
    dict(type="TransformBroadcaster", transforms=[dict(type="LoadFrame"), dict(type="Letterbox", scale=input_size)]),
    dict(type="PackTrackInputs", meta_keys=("pad_param", "video_name")),
]

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CocoDetectionDataset",
        data_root=data_root,
        ann_file="annotations/train.json",
        data_prefix=dict(img="train/"),
        metainfo=dict(classes=classes),
        filter_cfg=dict(filter_empty_gt=True, min_size=4),
        pipeline=two_view_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="VideoSampler"),
    dataset=dict(
        type="CocoVideoDataset",
        data_root=data_root,
        ann_file="annotations/train.json",
        data_prefix=dict(img_path="train/"),
        metainfo=dict(classes=classes),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type="TrackEvalMetric",
    ann_file=data_root + "annotations/train.json",
    classes=classes,
    distractors=("person_on_vehicle", "static_person", "distractor", "reflection"),
)
test_evaluator = val_evaluator
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
