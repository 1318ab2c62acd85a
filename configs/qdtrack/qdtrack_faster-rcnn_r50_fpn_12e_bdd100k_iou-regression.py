# QDTrack Table 5, third row: overlap with where the box head moves the last box, as Tracktor does.
# Trained as the full method, whose checkpoint can be tested with this file.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_12e_bdd100k.py"
model = dict(tracker=dict(appearance_weight=0.0, iou_weight=1.0, regression=True))
