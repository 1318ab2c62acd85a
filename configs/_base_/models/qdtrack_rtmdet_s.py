# RTMDet-s in the place of Faster R-CNN, from its COCO weights: regions are its own top boxes.
_base_ = ["./qdtrack_dense_parts.py", "mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py"]
# Of the detector; downloaded when training starts.
weights = (
    "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet_s_8xb32-300e_coco/"
    "rtmdet_s_8xb32-300e_coco_20220905_161602-387a891e.pth"
)
num_classes, channels = 1, 128  # channels of the neck

detector = _base_.pop("model")
preprocessor = detector.pop("data_preprocessor")
detector.init_cfg = dict(type="Pretrained", checkpoint=weights)
detector.backbone.init_cfg = None
detector.bbox_head.num_classes = num_classes
track_head = _base_.pop("track_head")
track_head.roi_extractor.out_channels = track_head.embed_head.in_channels = channels

model = dict(
    type="QuasiDenseMOT",
    data_preprocessor=dict(
        type="TrackDataPreprocessor",
        mean=preprocessor.mean,
        std=preprocessor.std,
        bgr_to_rgb=preprocessor.bgr_to_rgb,
        pad_size_divisor=32,
        pad_value=114,
    ),
    detector=detector,
    track_head=track_head,
    loss_embed=_base_.pop("loss_embed"),
    tracker=_base_.pop("tracker"),
)
_base_.clear()  # data and schedule of the detector's own training
del detector, preprocessor, track_head  # second copies at the top level that change nothing
