# CL-MOT Table 3, "NT-Xent". The paper gives no temperature; 0.5 is the release's.
_base_ = "./clmot_dla34_40e_mix.py"
temperature = 0.5
model = dict(loss_embed=dict(_delete_=True, type="NTXentPairLoss", temperature=temperature))
