# QDTrack's detections under mmdet's OCSORTTracker. Needs `pip install lap`.
_base_ = "./qdtrack_faster-rcnn_r50_within-frame_12e_mot17-half.py"
model = dict(
    tracker=dict(
        _delete_=True,
        type="OCSORTTracker",
        motion=dict(type="KalmanFilter"),
        obj_score_thr=0.5,
        init_track_thr=0.7,
        match_iou_thr=0.3,
        num_tentatives=3,
        vel_consist_weight=0.2,
        vel_delta_t=3,
        num_frames_retain=30,
    ),
)
