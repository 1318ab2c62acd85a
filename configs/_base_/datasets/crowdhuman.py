# CrowdHuman, still pictures to mix with a tracking set: both views are the same picture, with crops of their own.
# ConcatDataset takes "crowdhuman" beside the tracking set; the steps are those of mot17_pairs.py.
crowdhuman_size = (1088, 1088)  # pixels; the ratio is kept
crowdhuman = dict(
    type="CocoDetectionDataset",
    data_root="data/crowdhuman/",
    ann_file="annotations/crowdhuman_train.json",
    data_prefix=dict(img="train/"),
    metainfo=dict(classes=("pedestrian",)),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=[
        dict(type="LoadFrame"),
        dict(type="LoadAnnotations", with_bbox=True),
        dict(
            type="RandomResize",
            scale=crowdhuman_size,
            ratio_range=(0.8, 1.2),
            keep_ratio=True,
            clip_object_border=False,
        ),
        dict(type="PhotoMetricDistortion"),
        dict(type="TrackRandomFlip", prob=0.5),
        dict(type="WithinFrameTwoView", mirror_ref=False),
        dict(
            type="TransformBroadcaster",
            share_random_params=False,
            transforms=[
                dict(type="RandomCrop", crop_size=crowdhuman_size, bbox_clip_border=False, allow_negative_crop=True),
            ],
        ),
        dict(type="RequireCommonObject"),
        dict(type="PackTrackInputs"),
    ],
)
