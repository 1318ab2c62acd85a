# MOT17 with identities, as QDTrack trains on it (section 4.2): pairs of neighbouring frames, the longer side randomly
# resized around 1088 and cropped to it, colour jitter, flip. Tested as in mot17.py.
_base_ = "./mot17.py"
input_size = (1088, 1088)  # pixels; the ratio is kept
size_range = (0.8, 1.2)
frame_range = 3  # k of section 3.2; the public recipes take 10
batch_size = 2  # pairs, on each of 8 GPUs

pair_pipeline = [
    dict(type="ReferenceFrame", frame_range=frame_range),
    dict(
        type="TransformBroadcaster",
        share_random_params=True,
        transforms=[
            dict(type="LoadFrame"),
            dict(type="LoadTrackAnnotations"),
            dict(
                type="RandomResize", scale=input_size, ratio_range=size_range, keep_ratio=True, clip_object_border=False
            ),
            dict(type="PhotoMetricDistortion"),
        ],
    ),
    dict(  # each frame has its own crop
        type="TransformBroadcaster",
        share_random_params=False,
        transforms=[
            dict(type="RandomCrop", crop_size=input_size, bbox_clip_border=False, allow_negative_crop=True),
        ],
    ),
    dict(type="TransformBroadcaster", share_random_params=True, transforms=[dict(type="TrackRandomFlip", prob=0.5)]),
    dict(type="RequireCommonObject"),
    dict(type="PackTrackInputs"),
]
test_pipeline = [
    dict(
        type="TransformBroadcaster",
        transforms=[dict(type="LoadFrame"), dict(type="Resize", scale=input_size, keep_ratio=True)],
    ),
    dict(type="PackTrackInputs", meta_keys=("video_name", "mot_frame_id")),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    dataset=dict(type="CocoPairDataset", data_prefix=dict(_delete_=True, img_path="train/"), pipeline=pair_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
