# CL-MOT's network and its two views without identities; QDTrack's losses on plain dot products, and its association.
_base_ = "../clmot/clmot_dla34_40e_mot17-half.py"
model = dict(
    unit_embeds=False,
    loss_embed=dict(
        _delete_=True,
        type="MultiPositivePairLoss",
        positives="multi",
        loss_weight=0.25,
    ),
    tracker=dict(
        _delete_=True,
        type="BiSoftmaxTracker",
        init_score_thr=0.5,  # scores of heat-map peaks are lower than those of a box head
        obj_score_thr=0.4,
        memo_tracklet_frames=30,
    ),
)
