# The small model with a mask branch: its boxes and embeddings are qdtrack_tiny's, whose weights fit.
_base_ = "./qdtrack_tiny.py"
channels = 32  # of the pyramid, as in qdtrack_tiny.py
num_classes = 1

model = dict(
    train_masks_only=False,
    detector=dict(
        type="MaskRCNN",
        roi_head=dict(
            mask_roi_extractor=dict(
                type="SingleRoIExtractor",
                roi_layer=dict(type="RoIAlign", output_size=14, sampling_ratio=0),
                out_channels=channels,
                featmap_strides=[4, 8, 16, 32],
            ),
            mask_head=dict(
                type="FCNMaskHead",
                num_convs=4,
                in_channels=channels,
                conv_out_channels=2 * channels,
                norm_cfg=dict(type="GN", num_groups=8),  # without it a few minutes are too short
                num_classes=num_classes,
                loss_mask=dict(type="CrossEntropyLoss", use_mask=True, loss_weight=1.0),
            ),
        ),
        train_cfg=dict(rcnn=dict(mask_size=28)),
        test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
    ),
)
