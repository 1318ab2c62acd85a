"""Fixtures of the data set tests."""

from __future__ import annotations

import pytest
from mmengine.registry import init_default_scope


@pytest.fixture
def mmdet_scope() -> None:
    """Names in configurations mean mmdet's registries, as ``default_scope`` makes them in a run."""
    init_default_scope("mmdet")
