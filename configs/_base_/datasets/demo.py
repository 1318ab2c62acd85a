# The rendered demo data (python tools/make_demo_data.py): train.json carries no identities.
_base_ = "./mot17.py"
data_root = "demo_out/data/"
test_root = data_root  # annotations and pictures of the held-out sequences
input_size = (320, 192)
batch_size = 8

two_view_pipeline = [
    *_base_.two_view_pipeline[:4],
    dict(
        type="TransformBroadcaster",
        share_random_params=False,
        transforms=[
            dict(type="ColourJitterHSV", fraction=0.5),
            dict(type="Letterbox", scale=input_size),
            dict(
                type="TrackRandomAffine", max_rotate_degree=5, max_translate_ratio=0.1, scaling_ratio_range=(0.7, 1.2)
            ),
        ],
    ),
    _base_.two_view_pipeline[-1],
]
test_pipeline = [
    dict(type="TransformBroadcaster", transforms=[dict(type="LoadFrame"), dict(type="Letterbox", scale=input_size)]),
    _base_.test_pipeline[-1],
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(data_root=data_root, pipeline=two_view_pipeline),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=test_root,
        ann_file="annotations/test.json",
        data_prefix=dict(img_path="test/"),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=test_root + "annotations/test.json", distractors=())
test_evaluator = val_evaluator
