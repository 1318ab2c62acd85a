# The supervised baseline on QDTrack's regions: the identities of the training set are classes.
_base_ = [
    "../_base_/models/qdtrack_faster-rcnn_r50_fpn.py",
    "../_base_/datasets/mot17_half_pairs.py",
    "../_base_/schedules/sgd_12e.py",
    "../_base_/default_runtime.py",
]
num_ids = 546  # identities of all MOT17 training sequences, an upper bound of those in half-train.json
model = dict(
    loss_embed=None,
    id_head=dict(type="IdentityClassifier", num_ids=num_ids, embed_channels=256),
    tracker=dict(temperature=0.05),  # bi-softmax of cosine / temperature
)
