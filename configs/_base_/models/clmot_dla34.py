# CL-MOT sections 3 and 4: DLA-34 with deformable up-sampling, centre head, embedding of 512 channels, triplet-hard.
embed_channels = 512

model = dict(
    type="CLMOT",
    data_preprocessor=dict(
        type="TrackDataPreprocessor",
        mean=[0.0, 0.0, 0.0],  # the release divides by 255 and does nothing else
        std=[255.0, 255.0, 255.0],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    detector=dict(
        type="CenterNet",
        backbone=dict(type="DLA"),
        neck=dict(type="DLANeck", in_channels=(64, 128, 256, 512)),
        bbox_head=dict(
            type="CenterEmbedHead", in_channels=64, feat_channels=256, num_classes=1, embed_channels=embed_channels
        ),
        test_cfg=dict(topk=128, local_maximum_kernel=3, score_thr=0.1),
    ),
    loss_embed=dict(type="TripletPairLoss", margin=0.3, mining="hard"),  # Eq. (5)
    contrast_average="image",
    task_weighting=dict(type="FixedTaskWeighting", detection=1.0, embedding=1.0),
    view_batching="separate",
    tracker=dict(type="JDETracker", conf_thr=0.4, lost_frames=30),
)
