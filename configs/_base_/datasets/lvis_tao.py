# LVIS v0.5 and COCO stills with TAO's 482 classes, each as a pair of one picture, rare classes more often. Tested on
# TAO.
_base_ = "./tao_pairs.py"
lvis_root = "data/lvis/"
rare_share = 1e-3  # classes in fewer pictures than this are repeated
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ClassBalancedDataset",
        oversample_thr=rare_share,
        dataset=dict(
            type="CocoDetectionDataset",
            data_root=lvis_root,
            ann_file="annotations/lvisv0.5+coco_train.json",
            data_prefix=dict(img="train2017/"),
            metainfo=dict(classes=_base_.class_file),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=_base_.still_pipeline,
        ),
    )
)
