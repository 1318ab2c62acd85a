# Any instance segmentation set in COCO's format trains a tracker of masks: here the people of COCO 2017, each picture
# as two views without identities. Tested on MOTS20.
_base_ = "./mots20.py"
input_size = (1088, 608)

two_view_mask_pipeline = [
    dict(type="LoadFrame"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="LoadTrackMasks"),
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
    dict(type="PackTrackInputs", meta_keys=("pad_param", "video_name", "mot_frame_id")),
]
train_dataloader = dict(
    dataset=dict(
        type="CocoDetectionDataset",
        data_root="data/coco/",
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(_delete_=True, img="train2017/"),
        metainfo=dict(classes=("person",)),
        pipeline=two_view_mask_pipeline,
    )
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
