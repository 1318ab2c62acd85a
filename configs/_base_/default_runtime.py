default_scope = "mmdet"
custom_imports = dict(imports=["clmot_qd"], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="WholeCheckpointHook", interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    exact_resume=dict(type="ExactResumeHook"),
    finite_loss=dict(type="FiniteLossHook"),
    rejected=dict(type="RejectedDetectionsHook"),
    sync_buffers=dict(type="SyncBuffersHook"),  # processes that train together: one BatchNorm to test and to save
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="Visualizer", vis_backends=vis_backends, name="visualizer")
log_processor = dict(type="LogProcessor", window_size=50, by_epoch=True)
log_level = "INFO"
load_from = None
resume = False
randomness = dict(seed=317)  # the seed of the public release
