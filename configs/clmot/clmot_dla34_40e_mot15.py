# CL-MOT with the data of _base_/datasets/mot15.py.
_base_ = [
    "../_base_/models/clmot_dla34.py",
    "../_base_/datasets/mot15.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
load_from = None
