# The rendered demo data with identities and masks: pairs of neighbouring frames, scored by the masks as well.
_base_ = "./demo_pairs.py"

load_frame = [dict(type="LoadFrame"), dict(type="LoadTrackAnnotations"), dict(type="LoadTrackMasks")]
mask_pair_pipeline = [
    _base_.pair_pipeline[0],
    dict(
        type="TransformBroadcaster",
        share_random_params=True,
        transforms=[*load_frame, dict(type="TrackRandomFlip", prob=0.5)],
    ),
    *_base_.pair_pipeline[2:],
]
mask_frame_pipeline = [  # one view, where no embeddings are learned
    *load_frame,
    dict(type="TrackRandomFlip", prob=0.5),
    dict(type="SingleView"),
    *_base_.two_view_pipeline[4:],
]
train_dataloader = dict(dataset=dict(pipeline=mask_pair_pipeline))
val_evaluator = dict(iou_type="segm", out_format=("mot", "mots"))
test_evaluator = val_evaluator
del load_frame
