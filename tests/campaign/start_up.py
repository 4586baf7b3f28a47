"""How soon a run takes its first step, and how much memory it takes beyond its bare steps (`one_start`)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from helpers import ROOT, environment

from ali_jax import config as config_lib
from ali_jax import data
from ali_jax.errors import UserError
from experiments.common.markdown import table

CONFIGS = {"digits": 400, "svhn": 12}  # -> steps


def measure(scratch: Path) -> dict[str, dict]:
    """Of each config whose data are here "bare" and "run"; each the second of two, which compiles nothing."""
    found: dict[str, dict] = {}
    for name, steps in CONFIGS.items():
        try:
            data.load(config_lib.load(ROOT / "configs" / f"{name}.py").dataset, "train[:1]")
        except UserError as error:
            print(f"{name}: not measured; {error}")
            continue
        for kind in ("bare", "run", "bare", "run"):
            workdir = scratch / "start"
            shutil.rmtree(workdir, ignore_errors=True)
            found.setdefault(name, {})[kind] = one(kind, name, workdir, steps)
    return found


def one(kind: str, name: str, workdir: Path, steps: int) -> dict:
    command = [sys.executable, "-m", "tests.campaign.one_start", kind, f"configs/{name}.py", workdir, steps]
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def markdown(found: dict[str, dict]) -> str:
    columns = ("what", "imports, CPU s", "first step, CPU s (wall)", "peak memory, MB", "of the events, MB")
    rows = []
    for name, kinds in found.items():
        for kind, row in kinds.items():
            first = row["first_step"]
            memory, events = row["peak_bytes"] / 1e6, row["events_peak_bytes"] / 1e6
            seconds = (f"{row['import']['cpu_s']:.1f}", f"{first['cpu_s']:.1f} ({first['wall_s']:.1f})")
            rows.append((f"{name}, {kind}", *seconds, f"{memory:,.0f}", f"{events:,.0f}"))
    return table(columns, rows)
