"""Random hyperparameters for ALI and for GAN, the same for both: draws of them, each of a number."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from ali_jax import config as config_lib
from ali_jax import data, examples, models
from ali_jax.errors import UserError
from ali_jax.pretrained import starts
from ali_jax.roles import Roles
from ali_jax.run import provenance, workdirs
from ali_jax.train_step import TrainState, init_state, train_step
from experiments.common import report, spreads
from experiments.mixture import figure, groups, loop, measures

# What a game changes in config.model. The generators are the same, and D too, but for its input.
GAMES = {"ali": {}, "gan": {"encoder": None, "discriminator_z": None}}


class Draw(NamedTuple):
    """Hyperparameters; of many runs, arrays (N,). The paper does not give its ranges: these are ours."""

    learning_rate: jax.Array  # log-uniform from 1e-5 to 1e-3
    b1: jax.Array  # uniform from 0 to 0.9
    init_std: jax.Array  # log-uniform from 0.005 to 0.1


def main(config: ConfigDict, draws: list[int], workdir: Path, output: Path) -> dict:
    """Trains the draws of these numbers in each game, and draws their coverage into `output`; the results.

    Draws that the workdir already holds are not trained again, so that later ones can be added to them.
    """
    check(config, draws)
    splits = examples.load_splits(config)
    batches = batches_of(splits["train"], config)
    workdirs.claim(workdir, config, start=starts.describe(provenance.command()))
    trained: dict[str, list[loop.Rows]] = {game: [] for game in GAMES}
    # Game after game of each group: what was stopped has both of as many draws as can be.
    there = [group for game in GAMES for group in groups.kept(workdir, game)]
    for group in groups.of(draws, pays_at_once(), there):
        for game, of_game in trained.items():
            of_game.append(train_group(config, game, group, batches, splits["validation"].x, workdir)[1])
    rows = {game: groups.joined(of_game) for game, of_game in trained.items()}
    report.save_plot(output, "coverage", figure.coverage(rows, len(data.MIXTURES[config.dataset].means)))
    minutes = {game: sum(map(loop.minutes, of_game)) for game, of_game in trained.items()}
    return summarize(config, sorted(draws), rows, minutes)


# Fields in which the paper's game has the default, or which are drawn.
THE_PAPERS = (
    *("terms", "disturbance", "weight_decay", "decay_after", "freeze_generator_after", "average_rate"),
    *("learning_rate", "rate_of"),
)


def check(config: ConfigDict, draws: list[int]) -> None:
    """Raises UserError for what the study cannot work with."""
    config_lib.check(config)
    if not draws:
        raise UserError("--draws names none; write their numbers, with commas between, as 0,1,2.")
    refuse_classes(config)
    # As dictionaries: a config that is locked, as those of the command line are, equals none that is not.
    asked, usual = config.to_dict(), config_lib.default().to_dict()
    for field in THE_PAPERS:
        if asked[field] != usual[field]:
            raise UserError(
                f"config.{field} is {asked[field]}; the study plays the paper's game; leave it out."
            )
    model = config.model
    of_codes = (model.latent_dim, model.prior)
    if config.dataset != "mixture" or of_codes != (2, "normal") or model.encoder is None:
        raise UserError(
            "The study is of config.dataset mixture with config.model.latent_dim 2, config.model.prior "
            "normal and an encoder, and makes the GAN's networks by itself; pass "
            "--config=configs/mixture.py:ali."
        )


def refuse_classes(config: ConfigDict) -> None:
    """Raises UserError where training would see some modes alone, as all of them are measured."""
    if config.classes:
        raise UserError(f"config.classes is {config.classes}, and all modes are measured; leave it out.")


def batches_of(split: data.Split, config: ConfigDict) -> data.Batches:
    """The points alone, without their labels."""
    return examples.open_batches(config, examples.fit(split, config), None)


def random_draws(count: int, seed: int) -> Draw:
    """Each (count,); the first ones do not depend on the count."""
    u = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed]))).random((count, 3))

    def log_uniform(low: float, high: float, u: np.ndarray) -> jax.Array:
        return jnp.asarray(low * (high / low) ** u, jnp.float32)

    return Draw(
        learning_rate=log_uniform(1e-5, 1e-3, u[:, 0]),
        b1=jnp.asarray(0.9 * u[:, 1], jnp.float32),
        init_std=log_uniform(0.005, 0.1, u[:, 2]),
    )


def chosen(numbers, seed: int) -> Draw:
    """The draws of these numbers: each (len(numbers),)."""
    return Draw(*(values[np.asarray(numbers)] for values in random_draws(max(numbers) + 1, seed)))


def hyperparameters(draws: Draw, n: int) -> dict[str, float]:
    return {name: float(values[n]) for name, values in draws._asdict().items()}


def build(config: ConfigDict, game: str, init_std=None) -> Roles:
    return models.build({**config.model, **GAMES[game]}, config.dtype, init_std)


def players(config: ConfigDict, game: str, draw: Draw) -> dict[str, Roles]:
    """The keyword arguments that `init_state` and `train_step` share, of one draw, traced or not."""
    adam = optax.adam(draw.learning_rate, b1=draw.b1, b2=config.b2)
    return {
        "networks": build(config, game, draw.init_std),
        "optimizers": Roles(adam, adam, adam),
    }


def init_all(config: ConfigDict, game: str, numbers, examples) -> TrainState:
    """The fresh states of the draws of these numbers, stacked; in both games draw n has key n of the seed."""

    def init(number, draw):
        key = jax.random.fold_in(jax.random.key(config.seed), number)
        return init_state(key, batch=examples, **players(config, game, draw))

    return jax.vmap(init)(np.asarray(numbers), chosen(numbers, config.seed))


def run_one(config: ConfigDict, game: str, draw: Draw, state: TrainState, batches) -> TrainState:
    """A `train_step` of one draw for each batch along the first axis."""
    step = functools.partial(train_step, **players(config, game, draw))
    return jax.lax.scan(step, state, batches)[0]


def pays_at_once() -> bool:
    """Not on a CPU, whose cores one draw keeps busy, with its state in their cache."""
    return jax.default_backend() != "cpu"


def run_all(config: ConfigDict, game: str, draws: Draw, at_once: bool):
    """(stacked states, batches) -> stacked states: the same batches for all draws.

    At once under `jax.vmap`, or one draw after the other, in one program as well.
    """

    def of_all(states: TrainState, batches) -> TrainState:
        def run(of_one):
            return run_one(config, game, *of_one, batches)

        return jax.lax.map(run, (draws, states), batch_size=len(draws.b1) if at_once else None)

    return jax.jit(of_all, donate_argnums=0)


def evaluate_all(config: ConfigDict, game: str, x: np.ndarray):
    """Stacked states -> measures by name, (N,) each; the same noise for all draws, at every step."""
    networks = build(config, game)

    def evaluate(params, batch_stats):
        return measures.of_model(networks, params, batch_stats, x, data.MIXTURES[config.dataset])[1]

    every = jax.jit(jax.vmap(evaluate))
    return lambda states: every(states.params, states.batch_stats)


def train_group(config: ConfigDict, game: str, group: range, batches, x, workdir: Path):
    """(stacked states, rows of measures) of a game; rows hold a list over draws for each measure."""
    folder = groups.folder(workdir, game, group)
    with workdirs.locked(folder):
        return loop.advance(
            run_all(config, game, chosen(group, config.seed), at_once=pays_at_once()),
            jax.jit(functools.partial(init_all, config, game, group, batches[0])),
            evaluate_all(config, game, x),
            *(batches, config, folder),
        )


def best(row: dict) -> int:
    """The draw that covers most modes; among equals strictly, and then by the share of good samples."""
    order = ("modes_covered", "modes_covered_strictly", "high_quality_share")
    return max(range(len(row["modes_covered"])), key=lambda n: tuple(row[name][n] for name in order))


def summarize(config: ConfigDict, numbers: list[int], rows: dict[str, loop.Rows], minutes: dict) -> dict:
    count = len(examples.load(config, config.train_split).x)
    draws = random_draws(max(numbers) + 1, config.seed)
    return {
        "data": f"{config.dataset}, split {config.train_split}, {count:,} examples",
        "batch_size": config.batch_size,
        "seed": config.seed,
        "draws": [{"number": n, **hyperparameters(draws, n)} for n in numbers],
        **{
            game: summarize_game(config, numbers, of_game, count) | {"minutes": minutes[game]}
            for game, of_game in rows.items()
        },
    }


def summarize_game(config: ConfigDict, numbers: list[int], rows: loop.Rows, count: int) -> dict:
    last = rows[-1]
    names = [name for name in last if name not in ("step", "diverged")]
    diverged = np.asarray(last["diverged"])
    counted = {"modes_covered", "modes_covered_strictly", "high_quality_share"}  # zero where it diverged
    return {
        "steps": last["step"],
        "epochs": last["step"] * config.batch_size / count,
        "diverged": int(diverged.sum()),
        "best_draw": numbers[best(last)],
        "over_draws": {
            name: spreads.of_finite(np.asarray(last[name])[... if name in counted else ~diverged])
            for name in names
        },
        "each_draw": [
            {name: value if np.isfinite(value := last[name][n]) else None for name in [*names, "diverged"]}
            for n in range(len(numbers))
        ],
        "course": [
            {"step": row["step"], **{n: spreads.of_finite(row[n]) for n in names if n.startswith("modes")}}
            for row in rows
        ],
    }
