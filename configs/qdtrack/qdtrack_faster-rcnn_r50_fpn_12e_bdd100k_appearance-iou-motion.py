# QDTrack Table 5, sixth row: appearance and overlap with where a Kalman filter expects the box.
# Trained as the full method, whose checkpoint can be tested with this file.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_12e_bdd100k.py"
model = dict(tracker=dict(appearance_weight=1.0, iou_weight=1.0, motion="kalman"))
