"""Seconds from the command to the first step of a training, cold and warm, imports included.

    python -m experiments.start --configs=configs/svhn.py,configs/digits.py,configs/mixture.py --output=FOLDER

Cold is a start whose compilation cache is empty, warm one that finds what the start before it compiled. Each
is a process of its own, with a workdir that is not there yet; they take turns, --starts of each. One start of
every config before all others, which is not counted, decodes the data and brings the files of the libraries
into memory. With several steps a call (config.steps_per_dispatch) the first is done with the call.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags
from tqdm import tqdm

from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from ali_jax.run import overrides
from experiments.common import contest, markdown, report, shared_flags, spreads

OWN = ("configs", "starts", "output", "workdir")  # flags that no start gets as they are
KINDS = ("cold", "warm")


def define_flags() -> None:
    shared_flags.output()
    names = [os.path.relpath(program.CONFIGS / f"{name}.py") for name in ("svhn", "digits", "mixture")]
    flags.DEFINE_list("configs", names, "What to start.")
    flags.DEFINE_integer("starts", 3, "Of each kind, of which the median is told.", lower_bound=1)


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    if overrides.config_named(sys.argv):
        raise UserError("Several configs may be started; name them by --configs in place of --config.")
    output, shared = report.asked_output(values.output), contest.without(sys.argv[1:], OWN)
    for config in tqdm(values.configs, desc="not counted", disable=None):
        round_of(config, shared, KINDS[:1])
    rounds = [
        {config: round_of(config, shared) for config in values.configs}
        for _ in tqdm(range(values.starts), desc="starts", disable=None)
    ]
    found = {config: summarize([each[config] for each in rounds]) for config in values.configs}
    print(table(found), flush=True)
    if output:
        report.write(output, {"starts": found})


def round_of(config: str, shared: Sequence[str], kinds: Sequence[str] = KINDS) -> dict[str, dict]:
    """A start of each kind, the first with an empty compilation cache, which those after it find filled."""
    with tempfile.TemporaryDirectory() as folder:
        cache, workdir = Path(folder, "cache"), Path(folder, "workdir")
        found = {}
        for kind in kinds:
            shutil.rmtree(workdir, ignore_errors=True)
            found[kind] = start([f"--config={config}", f"--workdir={workdir}", *shared], cache)
        return found


def start(arguments: Sequence[str], cache: Path) -> dict[str, float]:
    """Seconds from the command until everything was imported, and until the first step was done.

    Raises:
      UserError: the training ended before its first step; what it said stands above.
    """
    command = [sys.executable, "-m", "experiments.common.first_step", *arguments]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
    begun = time.time()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise UserError(f"{' '.join(arguments)} ended with status {done.returncode} before its first step.")
    return {f"{name}_seconds": moment - begun for name, moment in json.loads(lines[-1]).items()}


def summarize(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict]:
    """Of each kind of start and each of its seconds: median, least and most over the rounds."""
    return {
        kind: {
            name: spreads.median_and_range([each[kind][name] for each in rounds]) for name in rounds[0][kind]
        }
        for kind in rounds[0]
    }


def table(found: Mapping[str, Mapping[str, Mapping]]) -> str:
    """Markdown: a row for each config and kind of start."""
    rows = []
    for config, kinds in found.items():
        for kind, seconds in kinds.items():
            told = (spreads.told(seconds[f"{name}_seconds"], 1) for name in ("imported", "first_step"))
            rows.append((config, kind, *told))
    return markdown.table(("config", "start", "imported, s", "first step, s"), rows)


if __name__ == "__main__":
    program.run(main, define_flags)
