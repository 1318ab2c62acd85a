# CL-MOT as in the paper (Table 3 "triplet-hard", Table 4 "none"): DLA-34, C = 512, triplet-hard with margin 0.3, 40
# epochs on the six-set mix without identities, tested on MOT15.
_base_ = [
    "../_base_/models/clmot_dla34.py",
    "../_base_/datasets/clmot_mix.py",
    "../_base_/schedules/adam_40e.py",
    "../_base_/default_runtime.py",
]
load_from = None  # the release starts from COCO CenterNet: tools/convert_checkpoint.py --source centernet
