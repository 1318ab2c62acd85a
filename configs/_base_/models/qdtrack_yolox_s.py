# YOLOX-s in the place of Faster R-CNN, from its COCO weights: regions are its own top boxes.
_base_ = ["./qdtrack_dense_parts.py", "mmdet::yolox/yolox_s_8xb8-300e_coco.py"]
# Of the detector; downloaded when training starts.
weights = (
    "https://download.openmmlab.com/mmdetection/v2.0/yolox/yolox_s_8x8_300e_coco/"
    "yolox_s_8x8_300e_coco_20211121_095711-4592a793.pth"
)
num_classes, channels = 1, 128  # channels of the neck

detector = _base_.pop("model")
detector.pop("data_preprocessor")  # it resizes batches of single pictures
detector.init_cfg = dict(type="Pretrained", checkpoint=weights)
detector.bbox_head.num_classes = num_classes
track_head = _base_.pop("track_head")
track_head.roi_extractor.out_channels = track_head.embed_head.in_channels = channels

model = dict(
    type="QuasiDenseMOT",
    data_preprocessor=dict(type="TrackDataPreprocessor", pad_size_divisor=32, pad_value=114),  # BGR, 0 to 255
    detector=detector,
    track_head=track_head,
    loss_embed=_base_.pop("loss_embed"),
    tracker=_base_.pop("tracker"),
)
_base_.clear()  # data and schedule of the detector's own training
del detector, track_head  # second copies at the top level that change nothing
