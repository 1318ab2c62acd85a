# MOT16: the layout and the classes of MOT17.
_base_ = "./mot17_pairs.py"
data_root = "data/MOT16/"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/train.json")
test_evaluator = val_evaluator
