# QDTrack Table 4, second row: Eq. (2), each region with one positive at a time; nearest by cosine.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_12e_bdd100k_cosine.py"
model = dict(
    loss_embed=[
        dict(type="MultiPositivePairLoss", positives="one", loss_weight=0.25),
        dict(type="CosineMarginPairLoss", neg_pos_ub=3, pos_margin=0.0, neg_margin=0.1, loss_weight=1.0),
    ]
)
