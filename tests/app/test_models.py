"""The operator's models: named, found, loaded once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clmot_qd.app.models import (
    Model,
    ModelFacts,
    ModelStore,
    check_models,
    find_runs,
    models_of,
    parse_model,
    read_all_facts,
    read_facts,
)
from clmot_qd.errors import InputError, one_line


def run_folder(root: Path, name: str, *files: str) -> Path:
    folder = root / name
    folder.mkdir()
    for age, file in enumerate(files):
        (folder / file).write_text("")
        os.utime(folder / file, (1000 + age, 1000 + age))
    return folder


def test_a_model_is_parsed_and_its_path_may_hold_commas_and_equals_signs() -> None:
    assert parse_model("A b = c.py , d.pth") == Model("A b", "c.py", "d.pth")
    assert parse_model("x=a,b=1.py,c=2.pth") == Model("x", "a,b=1.py", "c=2.pth")


@pytest.mark.parametrize("text", ["", "x", "x=", "x=a.py", "=a.py,b.pth", "x=,b.pth", "x=a.py,", "a.py,b.pth"])
def test_a_model_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="NAME=CONFIG,CHECKPOINT"):
        parse_model(text)


def test_runs_are_found_with_the_checkpoint_that_counts(tmp_path: Path) -> None:
    run_folder(tmp_path, "a-final", "c.py", "final.pth", "epoch_9.pth", "best_x_1.pth")
    run_folder(tmp_path, "b-best", "c.py", "best_x_2.pth", "epoch_9.pth")
    run_folder(tmp_path, "c-last", "c.py", "epoch_9.pth", "epoch_10.pth")
    run_folder(tmp_path, "no-checkpoint", "c.py")
    run_folder(tmp_path, "two-configs", "c.py", "d.py", "final.pth")
    found = find_runs(str(tmp_path))
    assert [model.name for model in found] == ["a-final", "b-best", "c-last"]
    assert [Path(model.checkpoint).name for model in found] == ["final.pth", "best_x_2.pth", "epoch_10.pth"]
    assert [model.name for model in find_runs(str(tmp_path / "c-last"))] == ["c-last"]
    with pytest.raises(InputError, match="neither it nor a folder in it"):
        find_runs(str(tmp_path / "no-checkpoint"))
    with pytest.raises(InputError, match="no such folder"):
        find_runs(str(tmp_path / "nowhere"))


def test_all_ways_to_name_models_add_up(tmp_path: Path) -> None:
    run_folder(tmp_path, "r", "c.py", "final.pth")
    models = models_of("dir/clmot_tiny_demo.py", "a.pth", ["x=b,c"], str(tmp_path))
    assert [model.name for model in models] == ["clmot_tiny_demo", "x", "r"]
    for half in (("c.py", None), (None, "a.pth")):
        with pytest.raises(InputError, match="give both"):
            models_of(*half, [], None)


def test_what_would_show_only_later_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("")
    there = str(tmp_path / "a.pth")
    with pytest.raises(InputError, match="no model: give --config"):
        check_models([])
    with pytest.raises(InputError, match="two models are called 'x'"):
        check_models([Model("x", "c", there), Model("x", "d", there)])
    with pytest.raises(InputError, match=r"gone\.pth: no such checkpoint \(model 'x'\)"):
        check_models([Model("x", "c", str(tmp_path / "gone.pth"))])
    check_models([Model("x", "c", there)])


def test_facts_of_the_demo_models() -> None:
    clmot = read_facts(Model("a", "clmot_tiny_demo", ""))
    assert clmot.classes == ("pedestrian",)
    assert clmot.tracker["type"] == "JDETracker"
    assert (clmot.score_floor, clmot.temperature) == (0.1, 0.1)
    qdtrack = read_facts(Model("b", "qdtrack_two-class_demo", ""))
    assert qdtrack.classes == ("pedestrian", "car")
    assert qdtrack.tracker["init_score_thr"] == 0.7
    assert (qdtrack.score_floor, qdtrack.temperature) == (0.05, None)
    assert read_facts(Model("c", "clmot_dla34_40e_mix", "")).temperature == 0.1  # triplets have none
    dots = "clmot_dla34_multi-positive_bi-softmax_40e_mot17-half"
    assert read_facts(Model("d", dots, "")).temperature is None


def test_a_configuration_that_cannot_track_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text(
        "model = dict(type='CLMOT', detector=dict())\ntest_dataloader = dict(dataset=dict())"
    )
    with pytest.raises(InputError, match="a detector alone cannot track"):
        read_facts(Model("x", str(tmp_path / "c.py"), ""))


def test_a_run_that_cannot_be_used_is_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("good", "_base_ = 'clmot_qd::clmot_tiny_demo.py'"), ("bad", "model = (")):
        (run_folder(tmp_path, name, "final.pth") / "c.py").write_text(text)
    runs = find_runs(str(tmp_path))
    assert [model.name for model in runs] == ["bad", "good"]
    good = [Model("good", "clmot_tiny_demo", "")]
    assert list(read_all_facts([runs[0], *good])) == ["good"]
    told = capsys.readouterr().err
    assert told.startswith(f"warning: {tmp_path / 'bad'} is left out: model 'bad' (")
    assert len(told.splitlines()) == 1
    with pytest.raises(InputError, match="no model is left"):
        read_all_facts(runs[:1])
    named = Model("mine", runs[0].config, "")
    with pytest.raises(InputError) as caught:
        read_all_facts([named, *good])
    assert one_line(caught.value).startswith(f"model 'mine' ({named.config}): ")


class Loader:
    def __init__(self) -> None:
        self.loaded: list[str] = []

    def __call__(self, model: Model) -> object:
        self.loaded.append(model.name)
        return object()


def test_models_are_loaded_once_and_the_one_used_longest_ago_goes() -> None:
    load = Loader()
    store = ModelStore([Model(name, "", "") for name in "abc"], load, keep=2)
    for name in "abab":
        with store.borrow(name):
            pass
    assert load.loaded == ["a", "b"]
    for name in "cb":
        with store.borrow(name):
            pass
    assert load.loaded == ["a", "b", "c"]
    with store.borrow("a"):
        pass
    assert load.loaded == ["a", "b", "c", "a"]


def test_two_jobs_at_a_time_never_share_a_model() -> None:
    load = Loader()
    store = ModelStore([Model("a", "", "")], load, keep=1)
    with store.borrow("a") as one, store.borrow("a") as two:
        assert one is not two
    with store.borrow("a") as again:
        assert again in (one, two)
    assert load.loaded == ["a", "a"]
    assert len(store._idle) == 1
    with store.borrow("a") as one, store.borrow("a") as two:
        assert one is not two


def test_room_is_made_before_another_model_is_loaded() -> None:
    def load(model: Model) -> object:
        in_memory.append(len(store._idle) + 1)
        return object()

    in_memory: list[int] = []
    store = ModelStore([Model(name, "", "") for name in "abc"], load, keep=2)
    for name in "abc":
        with store.borrow(name):
            pass
    assert in_memory == [1, 2, 2]


def test_a_model_comes_back_after_an_error_and_none_is_kept_with_keep_0() -> None:
    load = Loader()
    store = ModelStore([Model("a", "", "")], load, keep=1)
    with pytest.raises(ZeroDivisionError), store.borrow("a"):
        raise ZeroDivisionError
    with store.borrow("a"):
        pass
    assert load.loaded == ["a"]
    frugal = ModelStore([Model("a", "", "")], load, keep=0)
    for _ in range(2):
        with frugal.borrow("a"):
            pass
    assert load.loaded == ["a", "a", "a"]


def test_a_name_that_is_not_offered_is_refused() -> None:
    store = ModelStore([Model("a", "", "")], Loader())
    with pytest.raises(InputError, match="not offered"), store.borrow("../../a"):
        pass
    with pytest.raises(InputError, match="--keep-models -1"):
        ModelStore([], Loader(), keep=-1)
    assert ModelFacts(("x",)).temperature is None
