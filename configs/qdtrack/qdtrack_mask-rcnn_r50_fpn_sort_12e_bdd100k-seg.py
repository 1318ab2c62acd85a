# QDTrack Table 6 "SORT": overlap with where a Kalman filter expects the box, on the same boxes and masks.
# Trained as the full method, whose checkpoint can be tested with this file. Needs `pip install lap`.
_base_ = "./qdtrack_mask-rcnn_r50_fpn_12e_bdd100k-seg.py"
model = dict(
    tracker=dict(
        _delete_=True,
        type="SORTTracker",
        motion=dict(type="KalmanFilter", center_only=False),
        obj_score_thr=0.5,
        match_iou_thr=0.5,
        reid=None,  # motion alone
    ),
)
