# MOT20: crowds; its protocol takes one more class out before scoring.
_base_ = "./mot17.py"
data_root = "data/MOT20/"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/train.json", protocol="mot20", distractors=None)
test_evaluator = val_evaluator
