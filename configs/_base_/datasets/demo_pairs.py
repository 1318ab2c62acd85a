# The rendered demo data with identities: pairs of neighbouring frames.
_base_ = "./demo.py"
frame_range = 3

pair_pipeline = [
    dict(type="ReferenceFrame", frame_range=frame_range),
    dict(
        type="TransformBroadcaster",
        share_random_params=True,
        transforms=[
            dict(type="LoadFrame"),
            dict(type="LoadTrackAnnotations"),
            dict(type="TrackRandomFlip", prob=0.5),
        ],
    ),
    _base_.two_view_pipeline[4],  # jitter, letterbox and affine, each frame by itself
    dict(type="RequireCommonObject"),
    _base_.two_view_pipeline[-1],
]
train_dataloader = dict(
    dataset=dict(
        type="CocoPairDataset",
        ann_file="annotations/train_with_ids.json",
        data_prefix=dict(_delete_=True, img_path="train/"),
        pipeline=pair_pipeline,
    ),
)
