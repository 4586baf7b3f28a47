"""Where a step's time goes: every layer of E, G and D on its own, ours beside PyTorch's.

    python -m experiments.layers --config=configs/svhn.py --output=FOLDER
    python -m experiments.layers --config=configs/svhn.py --opponent_python=torch/bin/python --output=FOLDER

Each layer is compiled alone, for the inputs that it sees in a step, and timed forward, and with all that a
step takes of it: the forward pass, the gradient by its parameters, and those by its input (two through D, one
for its own loss and one for that of G and E; none for a player's own loss by images or noise, which nobody
wants). --opponent_python is an interpreter with torch; its layers, in the faster of two memory formats, take
turns with ours, a round of each, on as many threads. Beside them stand the rate of a large matrix product and
the time of a whole step, which has the losses, Adam and the passes of further terms too, and in which
neighbouring layers are compiled together.
"""

import json
import os
from pathlib import Path

import jax
from absl import flags
from tqdm import tqdm

from ali_jax import build, models
from ali_jax import config as config_lib
from ali_jax.data.own import cores
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from experiments.common import elsewhere, report, shared_flags, timing
from experiments.layers import of_step, ours, summary

OUTSIDE = Path(__file__).with_name("outside.py")
STEPS = 10  # whole ones to time


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_string("opponent_python", None, "An interpreter with torch.")
    flags.DEFINE_integer("rounds", 5, "How often ours and theirs take turns.", lower_bound=1)


def main(argv):
    program.refuse_words(argv)
    values, config = flags.FLAGS, flags.FLAGS.config
    config_lib.check(config)
    output, python = report.asked_output(values.output), values.opponent_python
    results = {
        "config": os.path.relpath(program.config_name()),
        "batch_size": config.batch_size,
        "dtype": config.dtype,
        "threads": cores(),
    }
    if python:  # before time is spent on ours
        results["torch"] = theirs(python, config.dtype, [])["torch"]
    found = measure(config, python, values.rounds)
    results |= {"layers": found, "totals": summary.totals(found)}
    results |= {"step_seconds": step_seconds(config)}
    results |= {"matmul_flops_per_second": timing.matmul_rate(config.dtype)}
    print(summary.table(results), flush=True)
    if output:
        report.write(output, results)


def measure(config, python: str | None, rounds: int) -> list[dict]:
    """Of each layer, what `summary.of_layer` makes of all rounds."""
    seen = of_step.layers(config)
    options = models.compiler_options(config.dtype, build.game(config).shapes.params)
    timed = [ours.Timed(each, options) for each in tqdm(seen, desc="compiled", disable=None)]
    own, others = [], []
    for _ in tqdm(range(rounds), desc="rounds", disable=None):
        own.append([layer() for layer in timed])
        if python:
            others.append(theirs(python, config.dtype, seen)["layers"])
    return [
        summary.of_layer(each, [of[n] for of in own], [of[n] for of in others]) for n, each in enumerate(seen)
    ]


def step_seconds(config) -> float:
    config = config.copy_and_resolve_references()
    config.steps_per_dispatch = 1  # several in a call are slower on a CPU
    return timing.time_step(config, timing.random_splits(config)["train"], STEPS)["step_seconds"]


def theirs(python: str, dtype: str, seen: list[of_step.Seen]) -> dict:
    """What `outside` finds, once through all layers.

    Raises:
      UserError: ours do not run on the CPU, as theirs do; or it cannot be started, or has no torch.
    """
    if jax.default_backend() != "cpu":
        raise UserError("--opponent_python is timed on a CPU; set JAX_PLATFORMS=cpu, or leave it out.")
    # Normalised kernels have no counterpart there.
    normalised = [each.layer.spectral_norm or each.layer.weight_norm_scale for each in seen]
    there = [None if no else of_step.describe(each) for no, each in zip(normalised, seen, strict=True)]
    asked = {"threads": cores(), "dtype": dtype, "layers": [each for each in there if each]}
    printed = elsewhere.run("PyTorch", python, OUTSIDE, given=json.dumps(asked))
    try:
        found = json.loads(printed)
        layers = iter(found["layers"])
        return found | {"layers": [next(layers) if each else None for each in there]}
    except (ValueError, TypeError, KeyError, StopIteration, RuntimeError):
        raise UserError(f"{python} ran {OUTSIDE.name} and printed something else than its result.") from None


if __name__ == "__main__":
    program.run(main, define_flags)
