# CL-MOT on MOT17 alone, without identities.
_base_ = [
    "../_base_/models/clmot_dla34.py",
    "../_base_/datasets/mot17.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
load_from = None  # a converted COCO CenterNet or CrowdHuman checkpoint helps a lot here
