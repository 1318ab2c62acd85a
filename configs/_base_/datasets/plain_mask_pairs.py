# plain_pairs.py with the masks of the objects, by which the tracks are scored as well.
_base_ = "./plain_pairs.py"

load_frame = [dict(type="LoadFrame"), dict(type="LoadTrackAnnotations"), dict(type="LoadTrackMasks")]
pair_pipeline = [
    _base_.pair_pipeline[0],
    dict(type="TransformBroadcaster", share_random_params=True, transforms=load_frame),
    *_base_.pair_pipeline[2:],
]
still_pipeline = [*_base_.still_pipeline[:2], dict(type="LoadTrackMasks"), *_base_.still_pipeline[2:]]
frame_pipeline = [  # one view, where no embeddings are learned
    *load_frame,
    dict(type="SingleView"),
    dict(type="TransformBroadcaster", transforms=[dict(type="TrackRandomFlip", prob=0.5)]),
    dict(type="PackTrackInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=pair_pipeline))
val_evaluator = dict(iou_type="segm")
test_evaluator = val_evaluator
del load_frame
