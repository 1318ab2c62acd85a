# The public recipe for halves of MOT17 (mmtrack, mmdet): 4 epochs, alpha_2 = 0.5, references up to 10 frames away. The
# public weights fit this file; configs/qdtrack/metafile.yml has their address.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50-caffe_fpn_released.py",
    "../_base_/datasets/mot17_half_pairs.py",
    "../_base_/schedules/sgd_4e.py",
    "../_base_/default_runtime.py",
]
frame_range = 10
pair_pipeline = [dict(type="ReferenceFrame", frame_range=frame_range), *_base_.pair_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=pair_pipeline))
