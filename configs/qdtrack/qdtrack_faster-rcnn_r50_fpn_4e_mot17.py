# The public recipe on the whole of MOT17.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50-caffe_fpn_released.py",
    "../_base_/datasets/mot17_pairs.py",
    "../_base_/schedules/sgd_4e.py",
    "../_base_/default_runtime.py",
]
frame_range = 10
pair_pipeline = [dict(type="ReferenceFrame", frame_range=frame_range), *_base_.pair_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=pair_pipeline))
