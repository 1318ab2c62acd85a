# MOTS20: the masks of the pedestrians of four MOT17 sequences, with the augmentation of mot17_pairs.py. Trained and
# tested on the same sequences, as there are no others with annotations. docs/data.md has the command.
_base_ = "./mot17_pairs.py"
data_root = "data/MOTS20/"

mask_pair_pipeline = [
    _base_.pair_pipeline[0],
    dict(
        type="TransformBroadcaster",
        share_random_params=True,
        transforms=[
            dict(type="LoadFrame"),
            dict(type="LoadTrackAnnotations"),
            dict(type="LoadTrackMasks"),
            dict(
                type="RandomResize",
                scale=_base_.input_size,
                ratio_range=_base_.size_range,
                keep_ratio=True,
            ),
            dict(type="PhotoMetricDistortion"),
        ],
    ),
    dict(  # each frame has its own crop
        type="TransformBroadcaster",
        share_random_params=False,
        transforms=[
            # Unlike mot17_pairs.py it clips boxes: their masks end with the crop.
            dict(type="RandomCrop", crop_size=_base_.input_size, allow_negative_crop=True),
            dict(type="IgnoreEmptyMasks"),
        ],
    ),
    *_base_.pair_pipeline[3:],
]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=mask_pair_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(
    ann_file=data_root + "annotations/train.json",
    distractors=None,
    protocol="mots20",
    iou_type="segm",
)
test_evaluator = val_evaluator
