# QDTrack as in the paper, on halves of MOT17 with CrowdHuman's stills beside it.
_base_ = ["./qdtrack_faster-rcnn_r50_fpn_12e_mot17-half.py", "../_base_/datasets/crowdhuman.py"]
train_dataloader = dict(
    sampler=dict(_delete_=True, type="MixSampler", weights=[1, 1]),  # MOT, CrowdHuman: shares of each in an epoch
    dataset=dict(
        _delete_=True, type="ConcatDataset", datasets=[_base_.train_dataloader.dataset, _base_.pop("crowdhuman")]
    ),
)
