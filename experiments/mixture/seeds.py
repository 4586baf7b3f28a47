"""Seeds of one config, all trained at once: what whoever runs it gets."""

from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from ali_jax import build, data, examples, train
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.inference import of_state
from ali_jax.pretrained import starts
from ali_jax.run import provenance, workdirs
from ali_jax.train_step import TrainState
from experiments.common import report, spreads, together
from experiments.mixture import compare, figure, loop, measures, search


def main(config: ConfigDict, seeds: int, workdir: Path, output: Path) -> dict:
    """Trains as many seeds, from config.seed on; draws coverage and the first one's points; the results."""
    check(config, seeds)
    splits, game = examples.load_splits(config), build.game(config)
    mixture = data.MIXTURES[config.dataset]
    each = [config_lib.of_seed(config, config.seed + number) for number in range(seeds)]
    split = examples.fit(splits["train"], config)
    batches = together.Batches([search.batches_of(splits["train"], one) for one in each])
    x = splits["validation"].x
    run = together.run_all(game)
    with workdirs.locked(workdir):
        start = starts.describe(provenance.command())
        workdirs.claim(workdir, noting(config, seeds), start=start)
        states, rows = loop.advance(
            lambda states, rows: run(states, rows)[0],
            lambda: together.stacked([train.fresh_state(one, game, split) for one in each]),
            evaluate_all(game, x, mixture),
            *(batches, config, workdir / "seeds"),
        )
    report.save_plot(output, "coverage", figure.coverage({"all seeds": rows}, len(mixture.means)))
    model = of_state(game.networks, jax.tree.map(lambda leaf: leaf[0], states))
    points, _ = measures.of_model(model.networks, model.params, model.batch_stats, x, mixture)
    figure.comparison({f"seed {config.seed}": points}, splits["validation"], mixture, output)
    return summarize(config, len(split.x), rows)


def noting(config: ConfigDict, seeds: int) -> ConfigDict:
    """The config with how many seeds are trained, so that its workdir is refused to another number."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.seeds = seeds
    return config


def check(config: ConfigDict, seeds: int) -> None:
    """Raises UserError for what cannot be measured."""
    if seeds < 1:
        raise UserError(f"--seeds is {seeds}; it must be at least 1.")
    config_lib.check(config)
    config_lib.check(config_lib.of_seed(config, config.seed + seeds - 1))  # the last one
    search.refuse_classes(config)
    if config.dataset not in data.MIXTURES or config.model.encoder is None:
        raise UserError(
            f"seeds is of a config.dataset among {', '.join(data.MIXTURES)} with an encoder; pass "
            "--config=configs/mixture.py, or another that has both."
        )
    if config.model.latent_dim != 2 or config.model.prior != "normal":
        raise UserError(
            "seeds compares codes with a normal prior in the plane, and config.model has latent_dim "
            f"{config.model.latent_dim} and prior {config.model.prior}; set them to 2 and normal."
        )


def evaluate_all(game: build.Game, x: np.ndarray, mixture: data.Gaussians):
    """Stacked states -> measures by name, one of each seed; of averaged parameters where they are kept."""

    @jax.jit
    @jax.vmap
    def evaluate(state: TrainState) -> dict[str, jax.Array]:
        model = of_state(game.networks, state)
        return measures.of_model(game.networks, model.params, model.batch_stats, x, mixture)[1]

    return evaluate


def summarize(config: ConfigDict, count: int, rows: loop.Rows) -> dict:
    """The results of `rows`; what a seed that diverged has no number for is left out of spreads, and None."""
    last = {name: values for name, values in rows[-1].items() if name not in loop.OF_TIME}
    seeds = len(last["modes_covered"])
    return {
        "data": f"{config.dataset}, split {config.train_split}, {count:,} examples",
        "batch_size": config.batch_size,
        "steps": rows[-1]["step"],
        "epochs": rows[-1]["step"] * config.batch_size / count,
        "minutes": loop.minutes(rows),
        "seeds": [*range(config.seed, config.seed + seeds)],
        "over_seeds": {name: spreads.of_finite(values) for name, values in last.items()},
        "each_seed": [
            compare.as_numbers({name: values[n] for name, values in last.items()}) for n in range(seeds)
        ],
        "course": [
            {
                "step": row["step"],
                **{name: spreads.of_finite(row[name]) for name in last if name != "diverged"},
            }
            for row in rows
        ],
    }
