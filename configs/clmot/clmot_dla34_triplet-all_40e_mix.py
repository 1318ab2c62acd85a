# CL-MOT Table 3, "triplet-all": every triplet that violates the margin instead of the hardest of each anchor.
_base_ = "./clmot_dla34_40e_mix.py"
model = dict(loss_embed=dict(mining="all"))
