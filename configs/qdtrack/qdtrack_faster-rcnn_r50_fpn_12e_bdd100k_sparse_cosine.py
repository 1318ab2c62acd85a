# QDTrack Table 4, first row: annotated boxes alone are matched, each with one positive; nearest by cosine.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_12e_bdd100k_one-positive_cosine.py"
model = dict(track_head=dict(train_cfg=dict(candidates="gt")))
