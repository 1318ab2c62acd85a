# Public detections: in testing the box heads start from the boxes of each sequence's det/det.txt instead of the
# detector's own proposals. Trained as without; tested on MOT17's SDP copies, or whichever are in the annotation file.
_base_ = "./qdtrack_faster-rcnn_r50_fpn_12e_mot17.py"
detection_root = _base_.data_root + "train/"  # folder of the sequence folders
least_score = None  # of public boxes to take; None takes all

test_pipeline = [
    *_base_.test_pipeline,
    dict(type="LoadPublicDetections", root=detection_root, min_score=least_score),
]
model = dict(public_detections=True)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
