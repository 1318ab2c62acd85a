# Cascade R-CNN in the place of Faster R-CNN, from its COCO weights: regions are those of its proposal network.
_base_ = ["./qdtrack_parts.py", "mmdet::_base_/models/cascade-rcnn_r50_fpn.py"]
# Of the detector; downloaded when training starts.
weights = (
    "https://download.openmmlab.com/mmdetection/v2.0/cascade_rcnn/cascade_rcnn_r50_fpn_1x_coco/"
    "cascade_rcnn_r50_fpn_1x_coco_20200316-3dc56deb.pth"
)
num_classes = 1

detector = _base_.pop("model")
detector.init_cfg = dict(type="Pretrained", checkpoint=weights)
detector.backbone.init_cfg = None
detector.roi_head.bbox_head = [{**stage, "num_classes": num_classes} for stage in detector.roi_head.bbox_head]

model = dict(
    type="QuasiDenseMOT",
    data_preprocessor={**detector.pop("data_preprocessor"), "type": "TrackDataPreprocessor"},
    detector=detector,
    track_head=_base_.pop("track_head"),
    loss_embed=_base_.pop("loss_embed"),
    tracker=_base_.pop("tracker"),
)
del detector  # a second copy at the top level that changes nothing
