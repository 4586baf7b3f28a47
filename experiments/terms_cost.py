"""What a step of a game with more terms costs, against a step of the paper's game on the same networks.

    python -m experiments.terms_cost --config=configs/svhn.py --output=FOLDER

All games are compiled first and then take their steps in turn, PERIOD of each, as often as --rounds says: a
machine that slows down slows all of them. Images are random. Beside the seconds stand the FLOPs of the traced
steps (`flops.of_traced_step`), of a penalty that is not of every step by its share of them.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping

import jax
from absl import flags
from ml_collections import ConfigDict

from ali_jax import build, train
from ali_jax import config as config_lib
from ali_jax.data import examples
from ali_jax.run import command_line as program
from ali_jax.run import devices
from experiments.benchmark import random_splits
from experiments.common import flops, report, shared_flags

PAPER = "the paper's game"
PERIOD = 8  # steps, of which one has the penalty of EVERY
EVERY = {"every": PERIOD}
TERMS = {
    PAPER: {},
    "cycle": {"cycle": {}},
    "latent regression": {"latent_regression": {}},
    "contrast": {"contrast": {}},
    f"R1 every {PERIOD} steps": {"r1": EVERY},
}
SPECTRAL = "spectral normalisation of D"


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_integer("rounds", 3, f"How often every game takes {PERIOD} steps.", lower_bound=1)


def main(argv):
    program.refuse_words(argv)
    output, games = report.asked_output(flags.FLAGS.output), variants(flags.FLAGS.config)
    split = random_splits(flags.FLAGS.config)["train"]
    runs = {name: Steps(config, split) for name, config in games.items()}
    results = {"data": "random images", "dtype": flags.FLAGS.config.dtype}
    results |= summarize(
        in_turn(runs, flags.FLAGS.rounds), {n: flops.of_traced_step(c) for n, c in games.items()}
    )
    print(json.dumps(results), flush=True)
    if output:
        report.write(output, results)


def variants(config: ConfigDict) -> dict[str, ConfigDict]:
    """The config with the paper's game, with each of TERMS beside it, and with D spectrally normalised."""
    games = {}
    for name, terms in {**TERMS, SPECTRAL: {}}.items():
        game = config.copy_and_resolve_references()
        with game.unlocked():
            game.terms = config_lib.as_terms({"adversarial": {}, **terms})
        if name == SPECTRAL:
            stacks = ("discriminator_x", "discriminator_z", "discriminator_joint")
            game.model.spectral_norm = tuple(stack for stack in stacks if game.model[stack])
        game.steps_per_dispatch = 1
        games[name] = game
    return games


class Steps:
    """A game, compiled, with a batch on the device; a call takes PERIOD steps: seconds of one of them."""

    def __init__(self, config: ConfigDict, split):
        mesh, game = devices.make_mesh(), build.game(config)
        split = examples.fit(split, config)
        batch = examples.open_batches(config, split, examples.labelled_examples(config, split))[0]
        self._batch = devices.put_batches([batch], mesh)
        self._state = train.fresh_state(config, game, split, devices.replicated(mesh))
        self._step = train.compiled_steps(game, mesh).lower(self._state, self._batch).compile()
        self._take(1)  # the first step is slower

    def __call__(self) -> float:
        start = time.perf_counter()
        self._take(PERIOD)
        return (time.perf_counter() - start) / PERIOD

    def _take(self, count: int) -> None:
        for _ in range(count):
            self._state, _ = self._step(self._state, self._batch)
        jax.block_until_ready(self._state)


def in_turn(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of a step of every game in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(run())
    return seconds


def summarize(seconds: Mapping[str, list[float]], counted: Mapping[str, float]) -> dict:
    """Of every game: its median seconds, and its cost and FLOPs as shares of the paper's game's."""
    found = {}
    for name, values in seconds.items():
        ratios = [ours / plain for ours, plain in zip(values, seconds[PAPER], strict=True)]
        more = counted[name] / counted[PAPER] - 1
        found[name] = {
            "step_seconds": statistics.median(values),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "flops_ratio": 1 + more / (PERIOD if TERMS.get(name, {}).get("r1") == EVERY else 1),
        }
    return {"games": found}


if __name__ == "__main__":
    program.run(main, define_flags)
