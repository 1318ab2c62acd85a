# The same model as it is used on MOTChallenge: Caffe-style ResNet-50, BatchNorm frozen, from a detector of people
# trained on COCO. Boxes may reach beyond the picture, as MOTChallenge's do.
_base_ = "./qdtrack_faster-rcnn_r50_fpn.py"
# Of the detector; downloaded when training starts.
weights = (
    "https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn/faster_rcnn_r50_fpn_1x_coco-person/"
    "faster_rcnn_r50_fpn_1x_coco-person_20201216_175929-d022e227.pth"
)

model = dict(
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    detector=dict(
        init_cfg=dict(type="Pretrained", checkpoint=weights),
        backbone=dict(norm_cfg=dict(requires_grad=False), style="caffe", init_cfg=None),
        rpn_head=dict(
            bbox_coder=dict(clip_border=False),
            loss_bbox=dict(_delete_=True, type="SmoothL1Loss", beta=1 / 9, loss_weight=1.0),
        ),
        roi_head=dict(bbox_head=dict(bbox_coder=dict(clip_border=False))),
    ),
)
