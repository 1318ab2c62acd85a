# First half of every MOT17 training sequence for training, second half for testing; see mot17_half.py.
_base_ = "./mot17_pairs.py"
train_ann = "annotations/half-train.json"
test_ann = "annotations/half-val.json"
train_dataloader = dict(dataset=dict(ann_file=train_ann))
val_dataloader = dict(dataset=dict(ann_file=test_ann))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=_base_.data_root + test_ann)
test_evaluator = val_evaluator
