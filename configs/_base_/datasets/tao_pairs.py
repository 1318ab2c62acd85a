# TAO with its 482 classes of LVIS (section 4.2): shorter side 640 to 800 in training, 800 in testing. docs/data.md
# has the commands that convert it and list its classes.
_base_ = "./plain_pairs.py"
data_root = "data/tao/"
class_file = data_root + "annotations/tao_classes.txt"
train_sizes = [(1333, side) for side in (640, 672, 704, 736, 768, 800)]  # longest and shorter side, pixels
test_size = (1333, 800)
frame_range = 1  # annotated frames, which are a second apart

resize = dict(type="RandomChoiceResize", scales=train_sizes, keep_ratio=True)
resize_both = dict(type="TransformBroadcaster", share_random_params=True, transforms=[resize])
reference = dict(type="ReferenceFrame", frame_range=frame_range)
pair_pipeline = [reference, _base_.pair_pipeline[1], resize_both, *_base_.pair_pipeline[2:]]
still_pipeline = [*_base_.still_pipeline[:2], resize, *_base_.still_pipeline[2:]]
test_pipeline = [
    dict(
        type="TransformBroadcaster",
        transforms=[dict(type="LoadFrame"), dict(type="Resize", scale=test_size, keep_ratio=True)],
    ),
    _base_.test_pipeline[1],
]
tao_train = dict(
    type="CocoPairDataset",
    data_root=data_root,
    ann_file="annotations/train_482_classes.json",
    data_prefix=dict(img_path="frames/"),
    metainfo=dict(classes=class_file),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=pair_pipeline,
)
train_dataloader = dict(dataset=tao_train)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/validation_482_classes.json",
        data_prefix=dict(img_path="frames/"),
        metainfo=dict(classes=class_file),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
# Track AP at 3D IoU, for all classes that the file has objects of.
val_evaluator = dict(
    _delete_=True, type="TrackMapMetric", ann_file=data_root + "annotations/validation_482_classes.json"
)
test_evaluator = val_evaluator
del resize, resize_both, reference  # they stand in the pipelines
