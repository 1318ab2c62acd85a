# DanceTrack: MOTChallenge's layout, pedestrians alone, a validation set of its own.
_base_ = "./mot17_pairs.py"
data_root = "data/DanceTrack/"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file="annotations/val.json", data_prefix=dict(img_path="val/"))
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/val.json", distractors=())
test_evaluator = val_evaluator
