"""Where numbers come from: command, date, hardware, versions."""

import datetime
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import jax

from ali_jax.data import own


def of_here() -> dict[str, Any]:
    """Date, hardware and versions of this process, as its results and the runs that it begins say them."""
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }


def command() -> str:
    """The running program, as `python -m` wants it, with its flags."""
    return shlex.join(["python", "-m", _module_name(), *sys.argv[1:]])


def _module_name() -> str:
    spec = sys.modules["__main__"].__spec__
    return spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).stem


def hardware() -> str:
    """The devices of all processes; of a CPU its name, and how many of its cores this process may use."""
    devices = jax.devices()
    if devices[0].platform != "cpu":
        return f"{len(devices)} x {devices[0].device_kind}"
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = f"{names[0]}, {_cores(len(names))}" if names else model
    return model


def _cores(there: int) -> str:
    """How many there are, and how many of them this process may use where taskset and the like say so."""
    ours = own.cores()
    return f"{there} cores" if ours == there else f"{ours} of {there} cores"
