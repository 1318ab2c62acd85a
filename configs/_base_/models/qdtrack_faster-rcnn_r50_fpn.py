# QDTrack sections 3 and 4.2: Faster R-CNN with FPN on ResNet-50, from ImageNet weights.
_base_ = ["./qdtrack_parts.py", "mmdet::_base_/models/faster-rcnn_r50_fpn.py"]
weights = "torchvision://resnet50"  # of the backbone; downloaded when training starts
num_classes = 1

detector = _base_.pop("model")
detector.backbone.init_cfg.checkpoint = weights
detector.roi_head.bbox_head.num_classes = num_classes

model = dict(
    type="QuasiDenseMOT",
    data_preprocessor={**detector.pop("data_preprocessor"), "type": "TrackDataPreprocessor"},
    detector=detector,
    track_head=_base_.pop("track_head"),
    loss_embed=_base_.pop("loss_embed"),
    contrast_average="image",
    freeze_detector=False,
    tracker=_base_.pop("tracker"),
)
del detector  # a second copy at the top level that changes nothing
