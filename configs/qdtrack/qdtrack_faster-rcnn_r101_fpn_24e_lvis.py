# The first step of QDTrack on TAO: detector and embeddings on LVIS and COCO stills, TAO's tracker. ResNet-101 as in the
# public recipe, whose weights fit this file; metafile.yml has their address.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r101_fpn.py",
    "../_base_/datasets/lvis_tao.py",
    "../_base_/schedules/sgd_24e.py",
    "../_base_/default_runtime.py",
]
num_classes = 482
model = dict(
    detector=dict(
        roi_head=dict(bbox_head=dict(num_classes=num_classes)),
        test_cfg=dict(rcnn=dict(score_thr=0.0001, max_per_img=300)),  # rare classes have low scores
    ),
    tracker=dict(
        _delete_=True,
        type="TAOBiSoftmaxTracker",
        init_score_thr=0.0001,
        obj_score_thr=0.0001,
        match_score_thr=0.5,
        memo_tracklet_frames=10,
        memo_momentum=0.8,
        score_momentum=0.5,
        score_diff_thr=1.0,
        distractor_score_thr=0.5,
        distractor_iou_thr=0.3,
        match_with_cosine=True,
    ),
)
