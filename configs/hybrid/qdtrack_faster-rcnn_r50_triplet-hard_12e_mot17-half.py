# QDTrack's regions with CL-MOT's triplets on embeddings of length 1. The tracker compares cosines.
_base_ = "./qdtrack_faster-rcnn_r50_within-frame_12e_mot17-half.py"
model = dict(
    unit_embeds=True,
    loss_embed=[dict(type="TripletPairLoss", margin=0.3, mining="hard")],
    tracker=dict(temperature=0.05),  # bi-softmax of cosine / temperature
)
