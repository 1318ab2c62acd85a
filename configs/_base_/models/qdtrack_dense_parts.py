# The parts for detectors with a dense head, whose finest level has stride 8 and whose scores are lower.
_base_ = "./qdtrack_parts.py"
strides = [8, 16, 32]  # levels that regions are read from
region_size = 112  # pixels: up to twice this a region is read at stride 8, as with Faster R-CNN
track_head = dict(roi_extractor=dict(featmap_strides=strides, finest_scale=region_size))
tracker = dict(init_score_thr=0.5, obj_score_thr=0.3)  # chosen, not tuned
