# QDTrack's regions with NT-Xent on embeddings of length 1. The tracker compares cosines.
_base_ = "./qdtrack_faster-rcnn_r50_within-frame_12e_mot17-half.py"
model = dict(
    unit_embeds=True,
    loss_embed=[dict(type="NTXentPairLoss", temperature=0.1)],
    tracker=dict(temperature=0.05),  # bi-softmax of cosine / temperature
)
