"""What a step of a game with more terms costs, against a step of the paper's game on the same networks.

    python -m experiments.terms_cost --config=configs/svhn.py --output=FOLDER
    python -m experiments.terms_cost --config=configs/svhn.py:recipe --games="the config's game"

All games are compiled first and then take their steps in turn, PERIOD of each, as often as --rounds says: a
machine that slows down slows all of them. Images are random. Beside the seconds stand the FLOPs of the traced
steps (`flops.of_average_step`), of a penalty that is not of every step by its share of them. A cost that is
beyond them in every round stands in bold in the table that is printed.
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping

import jax
from absl import flags
from ml_collections import ConfigDict

from ali_jax import build, examples, models, terms, train
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.models import onednn
from ali_jax.models.rows import dense
from ali_jax.run import command_line as program
from ali_jax.run import devices
from ali_jax.terms import penalties
from experiments.common import flops, markdown, report, shared_flags, timing

PAPER = "the paper's game"
OWN = "the config's game"
PERIOD = 8  # steps, of which one has the penalty of EVERY
EVERY = {"every": PERIOD}
TERMS = {  # beside the paper's
    PAPER: {},
    "latent regression": {"latent_regression": {}},
    "cycle": {"cycle": {}},
    "recognition": {"recognition": {}},
    "contrast": {"contrast": {}},
    "adversarial cycle in x": {"adversarial_cycle_x": {}},
    "adversarial cycle in z": {"adversarial_cycle_z": {}},
    "score of x": {"unary_x": {}},
    "score of z": {"unary_z": {}},
    "R1": {"r1": {}},
    "R2": {"r2": {}},
    f"R1 every {PERIOD} steps": {"r1": EVERY},
}
SPECTRAL = "spectral normalisation of D"
GAMES = (*TERMS, SPECTRAL, OWN)
# Of D, for terms that ask for a score which the config's D does not give: they fit examples of any shape.
ALONE, TWINS = (dense(1, nonlinearity="linear"),), (dense(256), dense(1, nonlinearity="linear"))
HEADS = {"x": ALONE, "z": ALONE, "xx": TWINS, "zz": TWINS}


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_integer("rounds", 3, f"How often every game takes {PERIOD} steps.", lower_bound=1)
    flags.DEFINE_list("games", [], f"Which of {', '.join(GAMES)} to time beside the first; default: all.")


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    output, games = report.asked_output(values.output), variants(values.config, values.games)
    split = timing.random_splits(values.config)["train"]
    counted = {name: flops.of_average_step(config) for name, config in games.items()}
    runs = {name: Steps(config, split) for name, config in games.items()}
    results = {
        "config": os.path.relpath(program.config_name()),
        "data": "random images",
        "dtype": values.config.dtype,
    }
    results |= summarize(in_turn(runs, values.rounds), counted)
    print(table(results["games"]), flush=True)
    if output:
        report.write(output, results)


def variants(config: ConfigDict, asked: list[str] | None = None) -> dict[str, ConfigDict]:
    """The config with the paper's game and, of GAMES, with those asked for, or with all.

    Raises:
      UserError: one asked for is none of GAMES, the config's game is the paper's, or takes other periods.
    """
    own = config.terms.to_dict()
    there = [name for name in GAMES if name != OWN or [*own] != ["adversarial"]]
    if unknown := {*(asked or ())} - {*there}:
        raise UserError(f"--games: {min(unknown)!r} is not among this config's {', '.join(there)}.")
    chosen = [name for name in there if name == PAPER or not asked or name in asked]
    games = {
        name: _with_terms(config, own if name == OWN else {"adversarial": {}, **TERMS.get(name, {})}, name)
        for name in chosen
    }
    for term, steps in penalties.seldom(own if OWN in games else {}).items():
        if PERIOD % steps:
            raise UserError(
                f"config.terms has {term} every {steps} steps, and {PERIOD} are timed; choose 1, 2, 4 or "
                f"{PERIOD}."
            )
    return games


def _with_terms(config: ConfigDict, named: Mapping[str, dict], name: str) -> ConfigDict:
    """The config with a game, and with what D needs for it."""
    game = config_lib.of_terms(config, named)
    game.steps_per_dispatch = 1
    with game.unlocked(), game.ignore_type():
        for head in terms.needs_of(terms.bind(named)).heads:
            if game.model.get(models.HEADS[head]) is None:
                game.model[models.HEADS[head]] = HEADS[head]
    if name == SPECTRAL:
        stacks = ("discriminator_x", "discriminator_z", "discriminator_joint")
        game.model.spectral_norm = tuple(stack for stack in stacks if game.model[stack])
    return game


class Steps:
    """A game, compiled, with a batch on the device; a call takes PERIOD steps: seconds of one of them."""

    def __init__(self, config: ConfigDict, split):
        mesh, game = devices.make_mesh(), build.game(config)
        split = examples.fit(split, config)
        batch = examples.open_batches(config, split, examples.labelled_examples(config, split))[0]
        self._batch = devices.put_batches([batch], mesh)
        self._state = train.fresh_state(config, game, split, devices.replicated(mesh))
        run_steps = train.compiled_steps(game, mesh)
        self._due = [penalties.due(config.terms, step) for step in range(PERIOD)]
        lowered = {due: run_steps.lower(self._state, self._batch, due=due) for due in {*self._due}}
        with onednn.not_stored():
            self._programs = {due: step.compile() for due, step in lowered.items()}
        self._take(PERIOD)  # the first step of each program is slower

    def __call__(self) -> float:
        start = time.perf_counter()
        self._take(PERIOD)
        return (time.perf_counter() - start) / PERIOD

    def _take(self, count: int) -> None:
        for due in self._due[:count]:
            self._state, _ = self._programs[due](self._state, self._batch)
        jax.block_until_ready(self._state)


def in_turn(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of a step of every game in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(run())
    return seconds


def summarize(seconds: Mapping[str, list[float]], counted: Mapping[str, float]) -> dict:
    """Of every game: its median seconds, its FLOPs, and both as shares of the paper's game's."""
    found = {}
    for name, values in seconds.items():
        ratios = [ours / plain for ours, plain in zip(values, seconds[PAPER], strict=True)]
        found[name] = {
            "step_seconds": statistics.median(values),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "flops": counted[name],
            "flops_ratio": counted[name] / counted[PAPER],
        }
    return {"games": found}


def table(games: Mapping[str, dict]) -> str:
    """Markdown: what `summarize` found, a cost that is beyond its FLOPs in every round in bold."""
    head = ("game", "a step, ms", "x the paper's", "GFLOP", "x the paper's", "time over FLOPs")
    rows = []
    for name, game in games.items():
        over = f"{game['ratio'] / game['flops_ratio']:.3f}"
        rows.append(
            (
                name,
                f"{1e3 * game['step_seconds']:,.1f}",
                f"{game['ratio']:.3f} ({game['ratio_min']:.3f} to {game['ratio_max']:.3f})",
                f"{game['flops'] / 1e9:.2f}",
                f"{game['flops_ratio']:.3f}",
                f"**{over}**" if game["ratio_min"] > game["flops_ratio"] else over,
            )
        )
    return markdown.table(head, rows)


if __name__ == "__main__":
    program.run(main, define_flags)
