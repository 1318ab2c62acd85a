"""A small rendered data set, and training on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.visualization import Visualizer

from clmot_qd.datasets.demo_scenes import DemoSettings, make_demo_data


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = DemoSettings(train_sequences=2, train_frames=4, test_sequences=2, test_frames=3, figures=6)
    return make_demo_data(tmp_path_factory.mktemp("hook") / "data", settings, lambda line: None)


@pytest.fixture(autouse=True)
def own_visualizer() -> None:
    """mmengine keeps one visualizer of a name per process, with the folder of the first run."""
    Visualizer._instance_dict.clear()
