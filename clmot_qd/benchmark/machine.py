"""What the figures depend on: processor, versions, threads, and what else was running."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from clmot_qd import __version__
from clmot_qd.benchmark.cases import Options
from clmot_qd.errors import InputError

# By import name: mmcv, mmdet and mmengine may come from distributions of other names.
_PACKAGES = ("torch", "numpy", "scipy", "mmcv", "mmengine", "mmdet", "trackers", "norfair", "trackeval")
_BUSY = 0.5  # running processes besides this one from which a comparison of absolute times is worth little


def machine_facts(options: Options) -> dict[str, Any]:
    """Facts of this machine and its packages; no name of the machine or its user."""
    facts: dict[str, Any] = {
        "clmot_qd": __version__,
        "cpu": _cpu_model(),
        "cores": _cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "quick": options.quick,
        "threads": options.threads or int(os.environ.get("OMP_NUM_THREADS", 0)) or _cores(),
        "load_average": round(os.getloadavg()[0], 2),
        "device": _gpu_name() if options.device == "cuda" else "cpu",
    }
    return facts | _versions()


def busy_warning(facts: dict[str, Any]) -> str | None:
    """What to say if other programs were running at the start."""
    if facts["load_average"] < _BUSY:
        return None
    return (
        f"load average {facts['load_average']}: other programs are running; ratios hold within a turn, "
        "single times do not compare with those of another day"
    )


def check_device(device: str) -> None:
    """Check that the device is there.

    Raises:
        InputError: It is not.
    """
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no CUDA GPU; use --device cpu")


def facts_line(facts: dict[str, Any]) -> str:
    """The facts in two sentences."""
    versions = ", ".join(f"{name} {facts[name]}" for name in _PACKAGES if name in facts)
    where = facts["cpu"] if facts["device"] == "cpu" else f"{facts['device']}; {facts['cpu']}"
    return (
        f"{where}, {facts['cores']} cores, {facts['threads']} threads, {facts['memory_gib']} GiB, load average "
        f"{facts['load_average']} at the start. clmot_qd {facts['clmot_qd']}, Python {facts['python']}, {versions}."
    )


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _gpu_name() -> str:
    import torch

    return str(torch.cuda.get_device_name())


def _versions() -> dict[str, str]:
    distributions = metadata.packages_distributions()
    return {name: metadata.version(distributions[name][0]) for name in _PACKAGES if name in distributions}
