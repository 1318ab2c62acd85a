# RetinaNet in the place of Faster R-CNN, from its COCO weights: regions are its own top boxes.
_base_ = ["./qdtrack_dense_parts.py", "mmdet::_base_/models/retinanet_r50_fpn.py"]
# Of the detector; downloaded when training starts.
weights = (
    "https://download.openmmlab.com/mmdetection/v2.0/retinanet/retinanet_r50_fpn_1x_coco/"
    "retinanet_r50_fpn_1x_coco_20200130-c2398f9e.pth"
)
num_classes = 1

detector = _base_.pop("model")
detector.init_cfg = dict(type="Pretrained", checkpoint=weights)
detector.backbone.init_cfg = None
detector.bbox_head.num_classes = num_classes

model = dict(
    type="QuasiDenseMOT",
    data_preprocessor={**detector.pop("data_preprocessor"), "type": "TrackDataPreprocessor"},
    detector=detector,
    track_head=_base_.pop("track_head"),
    loss_embed=_base_.pop("loss_embed"),
    tracker=_base_.pop("tracker"),
)
del detector  # a second copy at the top level that changes nothing
