# CL-MOT Table 4, first row: projection head, C = 512, Z = 256.
_base_ = "./clmot_dla34_40e_mix.py"
embed_channels, projection_channels = 512, 256
model = dict(projector=dict(type="Projector", in_channels=embed_channels, out_channels=projection_channels))
