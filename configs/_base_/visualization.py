# Pictures of training pairs and of tracked frames. A second base beside any configuration of the package:
# _base_ = ["clmot_qd::clmot/clmot_dla34_40e_mot17.py", "clmot_qd::_base_/visualization.py"]
pairs_interval = 500  # iterations

custom_hooks = [dict(type="TrackingVisualizationHook", interval=pairs_interval)]
