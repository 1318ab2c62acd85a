"""The model index: what mim shows and downloads exists, and no number passes for ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from locations import REPOSITORY
from mmengine.config import Config

from clmot_qd.apis.running import load_config

FOLDERS = sorted(path.parent for path in REPOSITORY.glob("configs/*/metafile.yml"))
MODELS = {
    model["Name"]: model
    for folder in FOLDERS
    for model in yaml.safe_load((folder / "metafile.yml").read_text())["Models"]
}
PAPERS = ("clmot", "qdtrack")  # folders of a paper
OF_PAPERS = [name for name, model in MODELS.items() if model["Config"].split("/")[1] in PAPERS]
WEIGHTS = {name: model["Weights"] for name, model in MODELS.items() if "Weights" in model}


def test_the_index_lists_every_metafile() -> None:
    index = yaml.safe_load((REPOSITORY / "model-index.yml").read_text())
    assert sorted(index["Import"]) == [f"configs/{folder.name}/metafile.yml" for folder in FOLDERS]


@pytest.mark.parametrize("name", MODELS)
def test_entry_belongs_to_its_configuration(name: str) -> None:
    model = MODELS[name]
    path = REPOSITORY / model["Config"]
    assert path.stem == name
    config = load_config(str(path))
    assert model["Metadata"]["Epochs"] == config.train_cfg.max_epochs
    assert model["Metadata"]["Batch Size"] == config.auto_scale_lr.base_batch_size


def numbers(model: dict[str, Any]) -> list[str]:
    return [key for result in model["Results"] for key in result["Metrics"]]


@pytest.mark.parametrize("name", OF_PAPERS)
def test_every_number_says_whose_it_is(name: str) -> None:
    publishers = ("MMTracking", "BDD100K model zoo") if name in WEIGHTS else ("paper",)
    assert numbers(MODELS[name])
    for key in numbers(MODELS[name]):
        assert key.endswith(tuple(f" ({publisher}'s number, not ours)" for publisher in publishers)), key


def test_weights_are_the_public_ones() -> None:
    assert len(WEIGHTS) == 5
    for url in WEIGHTS.values():
        assert url.startswith(("https://download.openmmlab.com/mmtracking/mot/qdtrack/", "https://dl.cv.ethz.ch/"))
        assert url.endswith(".pth")
    import mmdet

    theirs = Path(mmdet.__file__).parent / ".mim" / "configs" / "qdtrack" / "metafile.yml"
    assert WEIGHTS["qdtrack_faster-rcnn_r50_fpn_4e_mot17-half"] in theirs.read_text()


def test_mim_searches_the_index() -> None:
    search = pytest.importorskip("mim.commands.search")
    found = search.get_model_info("clmot_qd", models=["qdtrack"], shown_fields=["config", "weight"], to_dict=True)
    assert set(found) == {name for name, model in MODELS.items() if model["In Collection"] == "QDTrack"}
    assert {name: entry["weight"] for name, entry in found.items() if isinstance(entry.get("weight"), str)} == WEIGHTS


@pytest.mark.parametrize("name", WEIGHTS)
def test_mim_download_takes_weights_and_configuration(name: str, tmp_path: Path) -> None:
    """Without a network: mim leaves a file of that name as it is, and writes the configuration beside it."""
    download = pytest.importorskip("mim.commands.download").download
    weights = tmp_path / WEIGHTS[name].rsplit("/", 1)[1]
    weights.write_bytes(b"")
    assert download("clmot_qd", [name], str(tmp_path)) == [weights.name]
    assert Config.fromfile(tmp_path / f"{name}.py").model == load_config(name).model


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_page_of_a_folder_lists_its_configurations(folder: Path) -> None:
    page = (folder / "README.md").read_text()
    missing = [path.name for path in folder.glob("*.py") if f"`{path.name}`" not in page]
    assert not missing
