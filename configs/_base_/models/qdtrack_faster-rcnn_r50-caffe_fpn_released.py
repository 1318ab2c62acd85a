# The public recipes for MOT17 where they differ from the paper: alpha_2 = 0.5, plain random negatives, and a tracker
# that starts tracks later and remembers them longer.
_base_ = "./qdtrack_faster-rcnn_r50-caffe_fpn.py"
model = dict(
    track_head=dict(
        train_cfg=dict(
            assigner=dict(neg_iou_thr=0.5, ignore_iof_thr=-1),
            ref_sampler=dict(neg_sampler=dict(_delete_=True, type="RandomSampler")),
        )
    ),
    tracker=dict(init_score_thr=0.9, memo_tracklet_frames=30),
)
