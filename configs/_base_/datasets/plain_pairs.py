# Pairs as QDTrack takes them where it says nothing else (section 4.2): two frames of a video at most 3 apart, original
# scale, flip alone. A data set inherits this and says where its files are and what its classes are.
frame_range = 3  # k of section 3.2
batch_size = 2  # pairs, on each of 8 GPUs
num_workers = 2

pair_pipeline = [
    dict(type="ReferenceFrame", frame_range=frame_range),
    dict(
        type="TransformBroadcaster",
        share_random_params=True,
        transforms=[dict(type="LoadFrame"), dict(type="LoadTrackAnnotations")],
    ),
    dict(type="TransformBroadcaster", share_random_params=True, transforms=[dict(type="TrackRandomFlip", prob=0.5)]),
    dict(type="RequireCommonObject"),
    dict(type="PackTrackInputs"),
]
still_pipeline = [  # the same picture twice
    dict(type="LoadFrame"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="WithinFrameTwoView", mirror_ref=False),
    *pair_pipeline[2:],
]
test_pipeline = [
    dict(type="TransformBroadcaster", transforms=[dict(type="LoadFrame")]),
    dict(type="PackTrackInputs", meta_keys=("video_name", "mot_frame_id")),
]

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="CocoPairDataset", filter_cfg=dict(filter_empty_gt=True, min_size=32), pipeline=pair_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="VideoSampler"),
    dataset=dict(type="CocoVideoDataset", test_mode=True, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="TrackEvalMetric", distractors=())
test_evaluator = val_evaluator
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
