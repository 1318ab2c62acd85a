# Detection and embedding balanced by learnable uncertainties, as in FairMOT.
_base_ = "./clmot_dla34_40e_mix.py"
model = dict(task_weighting=dict(_delete_=True, type="UncertaintyTaskWeighting", learnable=True))
