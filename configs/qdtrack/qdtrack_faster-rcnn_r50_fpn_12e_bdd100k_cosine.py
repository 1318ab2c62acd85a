# QDTrack Table 4, third row: nearest by cosine, no duplicate removal, no backdrops. Trained as the full method, whose
# checkpoint can be tested with this file.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_12e_bdd100k_bisoftmax.py"
model = dict(tracker=dict(match_metric="cosine"))
