# Table 1 of CL-MOT: six data sets, 53.5k images, boxes only, laid out as downloaded; docs/data.md has the commands.
# Tested on MOT15, two of whose training sequences (ETH-Bahnhof, ETH-Sunnyday) are in ETHZ: so it is in the paper.
_base_ = "./mot15.py"

folders = {  # folder below data/ -> where its pictures are
    "MOT17": "train/",
    "Caltech": "",
    "CityPersons": "leftImg8bit/train/",
    "CUHK-SYSU": "Image/SSM/",
    "PRW": "frames/",
    "ETHZ": "",
}
train_dataloader = dict(
    sampler=dict(_delete_=True, type="MixSampler", weights=[1] * len(folders)),  # shares of each set in an epoch
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[
            dict(
                type="CocoDetectionDataset",
                data_root=f"data/{folder}/",
                ann_file="annotations/train.json",
                data_prefix=dict(img=pictures),
                metainfo=dict(classes=("pedestrian",)),
                filter_cfg=dict(filter_empty_gt=True, min_size=4),
                pipeline=_base_.two_view_pipeline,
            )
            for folder, pictures in folders.items()
        ],
    ),
)
