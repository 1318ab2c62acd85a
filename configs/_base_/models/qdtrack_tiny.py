# QDTrack on a ResNet-18 of a quarter of the channels, from scratch: small enough for CPUs.
_base_ = "./qdtrack_faster-rcnn_r50_fpn.py"
width, channels = 16, 32  # of the first stage (ResNet-18 has 64) and of the pyramid (256)

model = dict(
    detector=dict(
        backbone=dict(
            depth=18,
            base_channels=width,
            stem_channels=width,
            norm_eval=False,
            norm_cfg=dict(requires_grad=True),
            frozen_stages=-1,
            init_cfg=None,
        ),
        neck=dict(in_channels=[width, 2 * width, 4 * width, 8 * width], out_channels=channels),
        rpn_head=dict(in_channels=channels, feat_channels=channels),
        roi_head=dict(
            bbox_roi_extractor=dict(out_channels=channels),
            bbox_head=dict(in_channels=channels, fc_out_channels=128),
        ),
        train_cfg=dict(rpn_proposal=dict(nms_pre=500, max_per_img=300), rcnn=dict(sampler=dict(num=128))),
        test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=300)),
    ),
    track_head=dict(
        roi_extractor=dict(out_channels=channels),
        embed_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            num_convs=2,
            fc_out_channels=128,
            embed_channels=2 * channels,
            norm_cfg=dict(num_groups=8),
        ),
        train_cfg=dict(key_sampler=dict(num=128), ref_sampler=dict(num=128)),
    ),
    tracker=dict(init_score_thr=0.7, obj_score_thr=0.3, memo_tracklet_frames=10),
)
