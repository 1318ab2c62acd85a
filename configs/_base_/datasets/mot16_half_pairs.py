# The halves of MOT16's training sequences.
_base_ = "./mot17_half_pairs.py"
data_root = "data/MOT16/"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + _base_.test_ann)
test_evaluator = val_evaluator
