# QDTrack Table 5, first row: overlap with the last box alone.
# Trained as the full method, whose checkpoint can be tested with this file.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_12e_bdd100k.py"
model = dict(tracker=dict(appearance_weight=0.0, iou_weight=1.0))
