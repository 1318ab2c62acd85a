# Any COCO detection set trains a tracker: here the people of COCO 2017. Tested on MOT17.
_base_ = "./mot17.py"
train_dataloader = dict(
    dataset=dict(
        data_root="data/coco/",
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(img="train2017/"),
        metainfo=dict(classes=("person",)),
    )
)
