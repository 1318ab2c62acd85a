# CL-MOT's detections under mmdet's ByteTracker: motion alone, low scores in a second round. Needs `pip install lap`.
_base_ = "../clmot/clmot_dla34_40e_mot17-half.py"
model = dict(
    tracker=dict(
        _delete_=True,
        type="ByteTracker",
        motion=dict(type="KalmanFilter"),
        obj_score_thrs=dict(high=0.4, low=0.1),
        init_track_thr=0.5,
        match_iou_thrs=dict(high=0.1, low=0.5, tentative=0.3),
        num_frames_retain=30,
    ),
)
