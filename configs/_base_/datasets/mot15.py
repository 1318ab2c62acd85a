# MOT15: 11 training sequences; Tables 3 and 4 of CL-MOT are measured on them.
_base_ = "./mot17.py"
data_root = "data/MOT15/"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
# MOT15 labels pedestrians only: there are no distractors to take out.
val_evaluator = dict(ann_file=data_root + "annotations/train.json", distractors=())
test_evaluator = val_evaluator
