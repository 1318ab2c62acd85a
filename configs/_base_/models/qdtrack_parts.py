# QDTrack sections 3.2, 3.3 and 4.2, all but the detector: region embeddings of 256 channels from four convolutions and
# one fully connected layer, pair losses, bi-softmax association. The models of this folder are made of these parts.
embed_channels = 256

track_head = dict(
    type="QuasiDenseHead",
    roi_extractor=dict(
        type="SingleRoIExtractor",
        roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=0),
        out_channels=256,
        featmap_strides=[4, 8, 16, 32],
    ),
    embed_head=dict(
        type="QuasiDenseEmbedHead",
        num_convs=4,
        num_fcs=1,
        embed_channels=embed_channels,
        norm_cfg=dict(type="GN", num_groups=32),
        loss_track=None,  # the losses are the model's, see loss_embed
        loss_track_aux=None,
    ),
    train_cfg=dict(
        candidates="proposals",
        assigner=dict(
            type="MaxIoUAssigner",
            pos_iou_thr=0.7,  # alpha_1
            neg_iou_thr=0.3,  # alpha_2; the public MOT17 recipes take 0.5
            min_pos_iou=0.5,
            match_low_quality=False,
            ignore_iof_thr=0.5,
        ),
        # 128 regions on objects in the key frame; 256 in the reference frame, half of them on objects.
        key_sampler=dict(
            type="CombinedSampler",
            num=256,
            pos_fraction=0.5,
            neg_pos_ub=3,
            add_gt_as_proposals=True,
            pos_sampler=dict(type="InstanceBalancedPosSampler"),
            neg_sampler=dict(type="RandomSampler"),  # the key frame's background is not used
        ),
        ref_sampler=dict(
            type="CombinedSampler",
            num=256,
            pos_fraction=0.5,
            neg_pos_ub=3,
            add_gt_as_proposals=True,
            pos_sampler=dict(type="InstanceBalancedPosSampler"),
            neg_sampler=dict(type="SteadyIoUBalancedNegSampler", floor_thr=-1, floor_fraction=0, num_bins=3),
        ),
    ),
)
loss_embed = [  # Eqs. (5), (6), (7)
    dict(type="MultiPositivePairLoss", positives="multi", loss_weight=0.25),
    dict(type="CosineMarginPairLoss", neg_pos_ub=3, pos_margin=0.0, neg_margin=0.1, loss_weight=1.0),
]
tracker = dict(
    type="BiSoftmaxTracker",
    init_score_thr=0.8,
    obj_score_thr=0.5,
    match_score_thr=0.5,
    memo_tracklet_frames=10,
    memo_backdrop_frames=1,
    memo_momentum=0.8,
    nms_conf_thr=0.5,
    nms_backdrop_iou_thr=0.3,
    nms_class_iou_thr=0.7,
    with_cats=True,
    match_metric="bisoftmax",
)
