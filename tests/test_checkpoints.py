"""Foreign key names, fit reports, and files that are not what they should be."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from reference_weights import reference_state_dict
from torch import nn

from clmot_qd.apis.conversion import convert_file
from clmot_qd.apis.running import load_weights
from clmot_qd.checkpoints import compare_with_model, convert_state_dict, read_checkpoint, read_state_dict
from clmot_qd.errors import InputError


@pytest.fixture(scope="module")
def public(test_data: Path) -> dict[str, torch.Tensor]:
    return reference_state_dict(json.loads((test_data / "dla34_state_dict_shapes.json").read_text()), seed=3)


def test_every_tensor_arrives_once_and_unchanged(public: dict[str, torch.Tensor]) -> None:
    converted = convert_state_dict(public, "clmot")
    unused = [k for k in public if k.startswith(("base.level3.project.", "base.level4.project."))]
    assert len(converted) == len(public) - len(unused)
    left = sorted(float(v.double().sum()) for k, v in public.items() if k not in unused)
    assert sorted(float(v.double().sum()) for v in converted.values()) == left


def test_a_data_parallel_prefix_is_understood(public: dict[str, torch.Tensor]) -> None:
    prefixed = {f"module.{k}": v for k, v in public.items()}
    assert convert_state_dict(prefixed, "fairmot").keys() == convert_state_dict(public, "clmot").keys()


def test_an_imagenet_file_fills_the_backbone_only(public: dict[str, torch.Tensor]) -> None:
    imagenet = {k.removeprefix("base."): v for k, v in public.items() if k.startswith("base.")}
    imagenet |= {"fc.weight": torch.zeros(1000, 512, 1, 1), "fc.bias": torch.zeros(1000)}
    converted = convert_state_dict(imagenet, "centernet")
    assert converted
    assert all(k.startswith("detector.backbone.") for k in converted)


def test_four_sided_sizes_of_later_fairmot_become_width_and_height(public: dict[str, torch.Tensor]) -> None:
    sides = dict(public)
    sides["wh.2.weight"] = torch.arange(4.0)[:, None, None, None] * torch.ones(4, 256, 1, 1)
    sides["wh.2.bias"] = torch.tensor([1.0, 2.0, 30.0, 40.0])
    converted = convert_state_dict(sides, "fairmot")
    assert converted["detector.bbox_head.wh_head.2.bias"].tolist() == [31.0, 42.0]
    assert converted["detector.bbox_head.wh_head.2.weight"][:, 0, 0, 0].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("state", "source", "message"),
    [
        ({"a": torch.zeros(1)}, "yolo", "source 'yolo' is not known: choose one of clmot, fairmot, centernet"),
        ({"backbone.conv1.weight": torch.zeros(1)}, "clmot", "not a clmot checkpoint.*backbone.conv1.weight.*1 of 1"),
        ({}, "fairmot", "not a fairmot checkpoint"),
    ],
)
def test_what_is_no_such_checkpoint_is_refused(state: dict, source: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        convert_state_dict(state, source)


def test_the_report_names_every_misfit() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = {k: v for k, v in model.state_dict().items() if k not in ("0.bias", "1.num_batches_tracked")}
    state |= {"0.weight": torch.zeros(3, 5), "extra": torch.zeros(1)}
    report = compare_with_model(state, model)
    assert (report.missing, report.unexpected) == (["0.bias"], ["extra"])
    assert report.mismatched == [("0.weight", (3, 5), (3, 2))]
    assert report.matched == 4
    assert str(report).splitlines()[0] == "4 tensors fit, 1 missing, 1 unexpected, 1 of another shape"
    assert "0.weight: file [3, 5], model [3, 2]" in str(report)


# ---------------------------------------------------------------------------------------------------------------- files
class Bomb:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"w": torch.zeros(1)}, "meta": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(InputError, match=r"bomb\.pth: not a checkpoint of plain tensors.*refused"):
        read_state_dict(tmp_path / "bomb.pth")
    assert "code ran" not in capsys.readouterr().out


class Getattr:
    """Pickles as getattr(owner, name)."""

    def __init__(self, owner: object, name: str) -> None:
        self.pair = owner, name

    def __reduce__(self):
        return (getattr, self.pair)


@pytest.mark.parametrize("pair", [(HistoryBuffer, "__init__"), (np.ndarray, "tofile")])
def test_only_the_statistics_of_log_curves_may_be_looked_up(tmp_path: Path, pair: tuple[object, str]) -> None:
    torch.save({"state_dict": {"w": torch.zeros(1)}, "x": Getattr(*pair)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match="refused"):
        read_state_dict(tmp_path / "a.pth")


def test_the_log_curves_of_mmengine_load(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.ones(1)}, "history": HistoryBuffer([1.0, 2.0], [1, 1])}, tmp_path / "a.pth")
    assert read_state_dict(tmp_path / "a.pth").keys() == {"w"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such checkpoint file"),
        (b"", r"no checkpoint \(empty\?"),
        (b"not a checkpoint at all", r"no checkpoint \(empty\? a web page\?"),
        (pickle.dumps([1, 2]), "cannot be read as a checkpoint|not a checkpoint|holds no tensors"),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read_state_dict(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("first", range(256))
def test_text_of_any_first_byte_is_an_input_error(first: int, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(bytes([first]) + b"ello, this is no checkpoint\n")
    with pytest.raises(InputError):
        read_state_dict(tmp_path / "x.pth")


def test_weights_of_another_model_are_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    before = model.weight.clone()
    torch.save({"state_dict": {"weight": torch.zeros(3, 2), "other": torch.zeros(1)}}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"not a checkpoint of this model.*1 missing, 1 unexpected.*bias"):
        load_weights(model, tmp_path / "a.pth")
    assert torch.equal(model.weight, before)


def test_parts_that_only_train_may_be_absent_or_left_over(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    state = model.state_dict() | {"projector.0.weight": torch.zeros(1)}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    assert "2 tensors loaded" in load_weights(model, tmp_path / "a.pth")


def test_a_converted_file_fits_its_configuration(public: dict[str, torch.Tensor], tmp_path: Path) -> None:
    state = dict(public)
    state["hm.2.weight"], state["hm.2.bias"] = torch.zeros(80, 256, 1, 1), torch.zeros(80)  # COCO CenterNet
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "public.pth")
    report = convert_file(str(tmp_path / "public.pth"), str(tmp_path / "ours.pth"), "centernet", "clmot_dla34_40e_mix")
    assert "4 of another shape" in report  # both heat map tensors, and the 64-channel embedding head of the recording
    kept = read_state_dict(tmp_path / "ours.pth")
    assert "detector.bbox_head.heatmap_head.2.weight" not in kept
    assert "detector.bbox_head.wh_head.2.weight" in kept


def test_the_source_is_recognised_where_none_is_named(public: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({"state_dict": public, "meta": {"CLASSES": ("person",)}}, tmp_path / "public.pth")
    report = convert_file(str(tmp_path / "public.pth"), str(tmp_path / "ours.pth"))
    assert "tensors renamed as fairmot" in report
    assert read_checkpoint(tmp_path / "ours.pth").classes == ("person",)
    assert "have our names" in convert_file(str(tmp_path / "ours.pth"), str(tmp_path / "again.pth"))
    first, second = (read_state_dict(tmp_path / name) for name in ("ours.pth", "again.pth"))
    assert all(torch.equal(first[key], second[key]) for key in first | second)
    torch.save({"encoder.weight": torch.zeros(1)}, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd\.pth: its keys, such as 'encoder\.weight', are those of no project"):
        convert_file(str(tmp_path / "odd.pth"), str(tmp_path / "none.pth"))
    assert not (tmp_path / "none.pth").exists()


def test_a_failed_conversion_writes_nothing(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    with pytest.raises(InputError):
        convert_file(str(tmp_path / "a.pth"), str(tmp_path / "b.pth"), "clmot")
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]
