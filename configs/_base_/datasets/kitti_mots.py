# KITTI-MOTS: cars and pedestrians in 12 sequences for training and 9 for validation; original scale, flip alone.
# docs/data.md has the commands that convert them.
_base_ = "./plain_mask_pairs.py"
data_root = "data/KITTI-MOTS/"
classes = ("car", "pedestrian")
image_folder = "training/image_02/"  # of both splits

train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/train.json",
        data_prefix=dict(img_path=image_folder),
        metainfo=dict(classes=classes),
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file="annotations/val.json",
        data_prefix=dict(img_path=image_folder),
        metainfo=dict(classes=classes),
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/val.json", classes=None, distractors=None, protocol="kitti-mots")
test_evaluator = val_evaluator
