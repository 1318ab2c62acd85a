# CL-MOT Table 4, second row: projection head, C = 1024, Z = 512.
_base_ = "./clmot_dla34_40e_mix.py"
embed_channels, projection_channels = 1024, 512
model = dict(
    detector=dict(bbox_head=dict(embed_channels=embed_channels)),
    projector=dict(type="Projector", in_channels=embed_channels, out_channels=projection_channels),
)
