# QDTrack section 4.6: Mask R-CNN in the place of Faster R-CNN, so that tracks have masks; from ImageNet weights.
_base_ = ["./qdtrack_parts.py", "mmdet::_base_/models/mask-rcnn_r50_fpn.py"]
weights = "torchvision://resnet50"  # of the backbone; downloaded when training starts
num_classes = 1

detector = _base_.pop("model")
detector.backbone.init_cfg.checkpoint = weights
detector.roi_head.bbox_head.num_classes = num_classes
detector.roi_head.mask_head.num_classes = num_classes
preprocessor = detector.pop("data_preprocessor")
del preprocessor["pad_mask"]  # regions end with the picture, and so do the masks they are compared with

model = dict(
    type="QuasiDenseMOT",
    data_preprocessor={**preprocessor, "type": "TrackDataPreprocessor"},
    detector=detector,
    track_head=_base_.pop("track_head"),
    loss_embed=_base_.pop("loss_embed"),
    contrast_average="image",
    freeze_detector=False,
    train_masks_only=False,
    tracker=_base_.pop("tracker"),
)
del detector, preprocessor  # second copies at the top level that change nothing
