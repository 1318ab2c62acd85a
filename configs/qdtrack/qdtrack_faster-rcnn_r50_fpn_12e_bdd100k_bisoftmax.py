# QDTrack Table 4, fourth row: bi-softmax, no duplicate removal, no backdrops. Trained as the full method, whose
# checkpoint can be tested with this file.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_12e_bdd100k.py"
model = dict(tracker=dict(remove_duplicates=False, memo_backdrop_frames=0))
