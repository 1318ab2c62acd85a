# The supervised baseline of the paper's comparison: one view, every identity a class (FairMOT), instead of two views
# and no identities. Annotations must have identities.
_base_ = "./clmot_dla34_40e_mot17-half.py"
num_ids = 546  # identities of all MOT17 training sequences, an upper bound of those in half-train.json
model = dict(
    loss_embed=None,
    id_head=dict(type="IdentityClassifier", num_ids=num_ids, embed_channels=512),
    task_weighting=dict(_delete_=True, type="UncertaintyTaskWeighting", learnable=True),
)
single_view_pipeline = [
    dict(type="LoadFrame"),
    dict(type="LoadTrackAnnotations", with_bbox=True),
    dict(type="TrackRandomFlip", prob=0.5),
    dict(type="SingleView"),
    *_base_.two_view_pipeline[4:],
]
train_dataloader = dict(dataset=dict(type="CocoIdentityDataset", pipeline=single_view_pipeline))
