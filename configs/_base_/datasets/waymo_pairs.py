# Waymo Open Dataset: five cameras, each a video of its own; original scale. Bring CocoVID files, see
# configs/qdtrack/README.md.
_base_ = "./plain_pairs.py"
data_root = "data/waymo/"
classes = ("vehicle", "pedestrian", "cyclist")
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/train.json",
        data_prefix=dict(img_path="train/"),
        metainfo=dict(classes=classes),
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/val.json",
        data_prefix=dict(img_path="val/"),
        metainfo=dict(classes=classes),
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/val.json", classes=classes)
test_evaluator = val_evaluator
