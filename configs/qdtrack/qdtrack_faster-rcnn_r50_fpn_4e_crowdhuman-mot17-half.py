# The public recipe for CrowdHuman and halves of MOT17 (mmtrack). The public weights fit this file; metafile.yml has
# their address.
_base_ = ["./qdtrack_faster-rcnn_r50_fpn_4e_mot17-half.py", "../_base_/datasets/crowdhuman.py"]
train_dataloader = dict(
    sampler=dict(_delete_=True, type="MixSampler", weights=[1, 1]),  # MOT, CrowdHuman: shares of each in an epoch
    dataset=dict(
        _delete_=True, type="ConcatDataset", datasets=[_base_.train_dataloader.dataset, _base_.pop("crowdhuman")]
    ),
)
