# Table 1 of CL-MOT: six data sets, 53.5k images, boxes only. Each is a COCO-format file with its images; tested on
# MOT15. MOT17 comes from tools/mot2cocovid.py; for the other five bring COCO files with a class "pedestrian".
_base_ = "./mot15.py"

folders = ("MOT17", "Caltech", "CityPersons", "CUHK-SYSU", "PRW", "ETHZ")
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[
            dict(
                type="CocoDetectionDataset",
                data_root=f"data/{folder}/",
                ann_file="annotations/train.json",
                data_prefix=dict(img="train/"),
                metainfo=dict(classes=("pedestrian",)),
                filter_cfg=dict(filter_empty_gt=True, min_size=4),
                pipeline=_base_.two_view_pipeline,
            )
            for folder in folders
        ],
    )
)
