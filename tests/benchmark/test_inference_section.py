"""The section of whole frames: what it says when it cannot begin."""

from __future__ import annotations

import sys

import pytest

from clmot_qd.benchmark import inference
from clmot_qd.benchmark.cases import Options
from clmot_qd.errors import InputError


def test_why_the_weights_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('first line\\nno room on the disk')"]
    monkeypatch.setattr(inference, "_command", lambda *arguments: failing)
    options = Options(device="cpu", rounds=1, quick=True, threads=None)
    with pytest.raises(InputError, match=r"clmot: .*exit code 1: no room on the disk"):
        inference._child("weights", "clmot", (64, 32), "video.mp4", "weights.pth", options)
