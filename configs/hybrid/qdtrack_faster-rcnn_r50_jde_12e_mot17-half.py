# QDTrack's network with CL-MOT's association: Kalman motion and cosine distance.
_base_ = "./qdtrack_faster-rcnn_r50_within-frame_12e_mot17-half.py"
model = dict(tracker=dict(_delete_=True, type="JDETracker", conf_thr=0.5, lost_frames=30))
