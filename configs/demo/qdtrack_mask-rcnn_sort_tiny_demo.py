# What this run changes (QDTrack Table 6 "SORT"): tracks by motion alone. Same detector, same masks, same weights.
_base_ = "./qdtrack_mask-rcnn_tiny_demo.py"
model = dict(
    tracker=dict(
        _delete_=True,
        type="SORTTracker",
        motion=dict(type="KalmanFilter", center_only=False),
        obj_score_thr=0.5,
        match_iou_thr=0.5,
        reid=None,
    ),
)
