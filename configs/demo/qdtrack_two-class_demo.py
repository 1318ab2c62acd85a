# What this run changes: a second class. People and cars, both learnt, detected and tracked.
# Data: python tools/make_demo_data.py --out demo_out/data_two-class --figures 8 --cars 4 --speed 0.5
#       --train-sequences 36 --train-frames 10
_base_ = "./qdtrack_tiny_demo.py"
data_root = "demo_out/data_two-class/"
classes = ("pedestrian", "car")

model = dict(detector=dict(roi_head=dict(bbox_head=dict(num_classes=len(classes)))))
train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=dict(classes=classes)))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=dict(classes=classes)))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/test.json", classes=classes)
test_evaluator = val_evaluator
