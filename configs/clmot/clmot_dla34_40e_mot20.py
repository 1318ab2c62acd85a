# CL-MOT with the data of _base_/datasets/mot20.py.
_base_ = [
    "../_base_/models/clmot_dla34.py",
    "../_base_/datasets/mot20.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
load_from = None
topk = 500  # crowds: up to 246 people in a frame
model = dict(detector=dict(test_cfg=dict(topk=topk)))
