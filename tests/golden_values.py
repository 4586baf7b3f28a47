"""From the courses of the golden games to the values that tests/golden records of them."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jaxlib
import numpy as np
from golden_games import GAMES, course, make_batches, resume_run, use_run, words
from helpers import ROOT, WITHOUT_CLU, environment

from ali_jax.data import own

GOLDEN = Path(__file__).parent / "golden"
RUN = GOLDEN / "run"


def flatten(tree, path: str = "") -> dict[str, np.ndarray]:
    """{"generator/stack/layer_1/kernel": array}, in the order of the names."""
    if not isinstance(tree, dict):
        return {path.removeprefix("/"): np.asarray(tree, np.float32)}
    parts = [flatten(branch, f"{path}/{name}") for name, branch in tree.items()]
    return dict(sorted(item for part in parts for item in part.items()))


def sha256(tree) -> str:
    digest = hashlib.sha256()
    for name, leaf in flatten(tree).items():
        digest.update(f"{name} {leaf.shape}\n".encode() + leaf.astype("<f4").tobytes())
    return digest.hexdigest()


def numbers(tree) -> list[float]:
    """[how many, sum, sum of squares, sum of sin(k) p_k] of all values, the last one to tell their order."""
    leaves = [leaf.ravel() for leaf in flatten(tree).values()]
    values = np.concatenate([np.zeros(0), *leaves]).astype(np.float64)
    along = np.sin(np.arange(1, len(values) + 1))
    return [len(values), *(float(f"{v:.12g}") for v in (values.sum(), values @ values, along @ values))]


def checksum(tree):
    """All that is recorded of nested dicts by role; None of None."""
    if tree is None:
        return None
    return {"sha256": sha256(tree), **{role: numbers(branch) for role, branch in sorted(tree.items())}}


def moved(start, end):
    """What the steps changed: it shows a wrong update better than its sum with where it started."""
    before, after = flatten(start), flatten(end)
    roles = {role: {} for role in end}
    for name, leaf in after.items():
        roles[name.split("/")[0]][name] = leaf.astype(np.float64) - before[name]
    return roles


def scalar(value) -> str:
    """A float32 as a decimal that reads back as it, and its bits."""
    value = np.float32(value)
    return f"{float(str(value))!r} {value.view(np.uint32):08x}"


def array(value: np.ndarray) -> dict:
    return {"shape": list(value.shape), "float32": np.asarray(value, "<f4").tobytes().hex()}


def values_of_course(name: str, config) -> dict:
    start, metrics, end = course(config, make_batches(**GAMES[name]))
    return {
        "metrics": {key: [scalar(m[key]) for m in metrics] for key in sorted(metrics[0])},
        "start": {part: checksum(tree) for part, tree in start.items()},
        "end": {part: checksum(tree) for part, tree in end.items()},
        "moved": {role: numbers(leaves) for role, leaves in moved(start["params"], end["params"]).items()},
    }


def values_of_run(folder: Path) -> dict:
    """Of tests/golden/run, through a copy in `folder`."""
    copy = folder / "run"
    shutil.copytree(RUN, copy)
    images = (words(6, 8, 8, 1, seed=3) >> 24).astype(np.uint8)
    given = {name: array(value) for name, value in use_run(copy, images).items()}
    return given | {"resumed": {part: checksum(tree) for part, tree in resume_run(copy).items()}}


def values_of_run_as_used() -> dict:
    """`values_of_run` in a process of its own, compiled as users have it."""
    script = "import json, sys, pathlib, golden_values as golden\n"
    script += "print(json.dumps(golden.values_of_run(pathlib.Path(sys.argv[1]))))"
    env = environment(PYTHONPATH=os.pathsep.join(map(str, (ROOT, ROOT / "tests", WITHOUT_CLU))))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", script, folder]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def machine() -> dict:
    """All that the last bit of a result depends on beside the code."""
    try:
        lines = dict(
            line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line
        )
        info = {name.strip(): text.strip() for name, text in lines.items()}
    except OSError:  # not Linux
        info = {}
    flags = " ".join(sorted(info.get("flags", info.get("Features", "")).split()))
    return {
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "backend": jax.default_backend(),
        "devices": jax.device_count(),
        "cpu": info.get("model name", platform.processor()),
        "cpu_features_sha256": hashlib.sha256(flags.encode()).hexdigest(),
        "cpu_cores": own.cores(),
        # The courses state their own, and the run is made in a process without those of the tests.
        "xla_flags": os.environ["XLA_FLAGS"].replace(os.environ["QUICK_COMPILER"], ""),
    }
