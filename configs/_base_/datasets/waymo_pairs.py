# Waymo Open Dataset: five cameras, each a video of its own; original scale. docs/data.md has the commands
# that convert them.
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
# LEVEL_2, which is all objects, and LEVEL_1; Waymo's own counting beside TrackEval's.
val_evaluator = dict(
    ann_file=data_root + "annotations/val.json",
    classes=classes,
    distractors=None,
    protocol="waymo",
    backends=("trackeval", "waymo"),
)
test_evaluator = val_evaluator
