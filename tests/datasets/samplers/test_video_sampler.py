"""VideoSampler: each video whole, in order, on one process; also through real processes that test together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from coco_builder import cocovid, write_folder
from mmdet.datasets.samplers import TrackImgSampler
from processes import run_ranks

from clmot_qd.datasets.samplers import VideoSampler, video_sampler
from clmot_qd.datasets.samplers.video_sampler import deal_out
from clmot_qd.datasets.video_dataset import CocoVideoDataset
from clmot_qd.errors import InputError


def videos(lengths: list[int]) -> CocoVideoDataset:
    dataset = CocoVideoDataset.__new__(CocoVideoDataset)
    dataset.test_mode = True
    dataset._fully_initialized = True
    dataset.serialize_data = False
    dataset.data_list = [dict(video_length=length, images=[None] * length) for length in lengths]
    return dataset


def hands(monkeypatch: pytest.MonkeyPatch, lengths: list[int], processes: int) -> list[list[tuple[int, int]]]:
    result = []
    for rank in range(processes):
        monkeypatch.setattr(video_sampler, "get_dist_info", lambda rank=rank: (rank, processes))
        sampler = VideoSampler(videos(lengths))
        result.append(list(sampler))
        assert len(sampler) == len(result[-1])
    return result


def test_one_process_gets_what_the_stock_sampler_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    (mine,) = hands(monkeypatch, [2, 3], 1)
    assert mine == list(TrackImgSampler(videos([2, 3]))) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]


def test_fewer_videos_than_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hands(monkeypatch, [2, 1], 4) == [[(0, 0), (0, 1)], [(1, 0)], [], []]


def test_processes_get_equal_work() -> None:
    assert deal_out([10, 1, 1, 1, 9, 8], 3) == [[0], [2, 4], [1, 3, 5]]
    assert deal_out([], 2) == [[], []]


def test_every_frame_once_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    dealt = hands(monkeypatch, [3, 5, 2, 2, 1], 2)
    for hand in dealt:
        assert hand == sorted(hand)
    assert sorted(dealt[0] + dealt[1]) == [(v, f) for v, length in enumerate([3, 5, 2, 2, 1]) for f in range(length)]


def test_other_data_sets_are_refused() -> None:
    training = videos([2])
    training.test_mode = False
    for wrong, name in (([1, 2], "list"), (training, "CocoVideoDataset")):
        with pytest.raises(
            InputError, match=f"takes a data set of whole videos .*, not this {name}; for training take"
        ):
            VideoSampler(wrong)


TESTING = """
import json
from coco_builder import cocovid, write_folder
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
import clmot_qd, torch
from mmdet.registry import MODELS
from mmdet.models.mot import BaseMOTModel
from mmengine.structures import InstanceData

@MODELS.register_module()
class Truthful(BaseMOTModel):
    '''A tracker that finds what is there.'''
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.weight = torch.nn.Parameter(torch.zeros(1))  # data parallelism wants one
    def loss(self, *args, **kwargs): ...
    def predict(self, inputs, data_samples, **kwargs):
        for sample in data_samples:
            for frame in sample.video_data_samples:
                found = InstanceData(scores=torch.ones(len(frame.gt_instances)))
                found.bboxes, found.labels = frame.gt_instances.bboxes, frame.gt_instances.labels
                found.instances_id = frame.gt_instances.instances_ids
                frame.pred_track_instances = found
        return data_samples

folder, launcher, out = sys.argv[1:]
init_default_scope("mmdet")
steps = [dict(type="LoadFrame"), dict(type="LoadTrackAnnotations")]
pipeline = [dict(type="TransformBroadcaster", transforms=steps), dict(type="PackTrackInputs")]
data = dict(type="CocoVideoDataset", data_root=folder, ann_file="ann.json", data_prefix=dict(img_path="img/"),
            test_mode=True, pipeline=pipeline)
runner = Runner.from_cfg(Config(dict(
    model=dict(type="Truthful", data_preprocessor=dict(type="TrackDataPreprocessor")),
    model_wrapper_cfg=dict(type="MMDistributedDataParallel", device_ids=None) if launcher == "pytorch" else None,
    work_dir=out + ".work", launcher=launcher, default_scope="mmdet",
    test_dataloader=dict(batch_size=1, num_workers=0, sampler=dict(type="VideoSampler"), dataset=data),
    test_cfg=dict(type="TestLoop"),
    test_evaluator=dict(type="TrackEvalMetric", ann_file=folder + "/ann.json", classes=None, distractors=()),
)))
frames = len(runner.test_dataloader)
metrics = runner.test()
json.dump([frames, metrics], open(f"{out}.{runner.rank}", "w"))
"""


def test_three_processes_test_two_videos(tmp_path: Path) -> None:
    write_folder(tmp_path, cocovid({1: [0, 1, 2], 2: [5, 6]}))
    single = run_processes(tmp_path, 1)
    several = run_processes(tmp_path, 3)
    assert [frames for frames, _ in single] == [5]
    assert [frames for frames, _ in several] == [3, 2, 0]
    assert single[0][1]["track/MOTA"] == 100
    assert several[0][1] == several[2][1] == single[0][1]


def run_processes(folder: Path, count: int) -> list[tuple[int, dict[str, float]]]:
    """(frames, metrics) of each process of a test run."""
    here = Path(__file__).resolve().parents[1]
    launcher, out = "pytorch" if count > 1 else "none", str(folder / f"of-{count}")
    run_ranks(TESTING, [str(folder), launcher, out], count, [here, here.parent])
    return [tuple(json.loads(Path(f"{out}.{rank}").read_text())) for rank in range(count)]
