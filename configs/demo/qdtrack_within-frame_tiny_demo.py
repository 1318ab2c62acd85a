# qdtrack_tiny_demo.py without identities: key and reference are two views of one frame, as in CL-MOT.
_base_ = "./qdtrack_tiny_demo.py"
train_dataloader = dict(
    dataset=dict(
        type="CocoDetectionDataset",
        ann_file="annotations/train.json",
        data_prefix=dict(_delete_=True, img="train/"),
        pipeline=_base_.two_view_pipeline,
    ),
)
