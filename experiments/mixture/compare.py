"""The best ALI of a search beside its best GAN with inference learned later, and a VAE (figure 8).

How the others are trained: `procedures`.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ali_jax import data, examples
from ali_jax.errors import UserError
from ali_jax.inference import Model
from ali_jax.run import workdirs
from ali_jax.run.checkpoints import Checkpoints, kept_steps
from ali_jax.train_step import init_state
from experiments.mixture import figure, groups, loop, measures, search
from experiments.mixture.procedures import B1, LEARNING_RATE, Procedure, procedures

MIXTURE = data.MIXTURES["mixture"]  # the only data of a search
COLUMNS = {  # of figure 8
    "ali": "(a) ALI",
    "inverse_mapping": "(b) GAN, inverse mapping",
    "post_hoc": "(c) GAN, post-hoc inference",
    "vae": "(d) VAE",
}


def main(config: ConfigDict, draws: list[int], workdir: Path, output: Path) -> dict:
    """Trains (b), (c) and (d) for as many steps as the search, and draws figure 8 into `output`."""
    del config, draws  # Those of the search count.
    config = read(workdir)
    (ali, ali_draw), (gan, gan_draw) = (load_best(config, workdir, game) for game in search.GAMES)
    splits = examples.load_splits(config)
    test_split = splits["validation"]
    batches = search.batches_of(splits["train"], config)
    folder = workdir / "compare" / f"gan_{gan_draw}_steps_{config.num_steps}"
    found = {"ali": ali}
    for name, procedure in procedures(config, gan).items():
        found[name] = train_one(config, procedure, batches, test_split.x, folder / name)
    columns = {name: measure(model, test_split.x) for name, model in found.items()}
    panels = {title: columns[name][0] for name, title in COLUMNS.items()}
    figure.comparison(panels, test_split, MIXTURE, output)
    return {
        "data": f"{config.dataset}, split {config.validation_split}, {len(test_split.x):,} points",
        "steps": config.num_steps,
        "batch_size": config.batch_size,
        "learning_rate": LEARNING_RATE,
        "b1": B1,
        "draws": {
            game: sorted({n for group in ended(config, workdir, game) for n in group})
            for game in search.GAMES
        },
        "best_draws": {
            game: {"number": n, **search.hyperparameters(search.chosen([n], config.seed), 0)}
            for game, n in (("ali", ali_draw), ("gan", gan_draw))
        },
        "measures": {name: as_numbers(of_column) for name, (_, of_column) in columns.items()},
        "measures_of_the_data_and_the_prior": as_numbers(ideal(columns["ali"][0], test_split.x)),
    }


def read(workdir: Path) -> ConfigDict:
    """The config of the search in `workdir`."""
    config = workdirs.read_config(workdir)
    if not any(groups.kept(workdir, game) for game in search.GAMES):
        raise UserError(f"{workdir} holds a run, but no search; pass the --workdir of a search.")
    return config


def ideal(points: measures.Points, x: np.ndarray) -> dict[str, jax.Array]:
    """The measures of a model that is perfect: what finite numbers of points leave of them."""
    exact = points._replace(samples=x, codes=points.prior, reconstructions=x)
    return measures.measure(exact, x, MIXTURE)


def as_numbers(found: dict[str, jax.Array]) -> dict[str, float | None]:
    """For results.json, where what is not finite is null."""
    return {name: np.asarray(value).tolist() if np.isfinite(value) else None for name, value in found.items()}


def train_one(config, procedure: Procedure, batches, x, folder: Path) -> Model:
    """A model trained by the procedure, for as many steps as the search."""
    networks, optimizers, step, start = procedure
    step = functools.partial(step, networks=networks, optimizers=optimizers)
    with workdirs.locked(folder):
        state, _ = loop.advance(
            jax.jit(lambda state, rows: jax.lax.scan(step, state, rows)[0], donate_argnums=0),
            # Jitted, so that it owns its arrays: the steps donate them, and others start from the same GAN.
            jax.jit(lambda: start(init_state(jax.random.key(config.seed), networks, optimizers, batches[0]))),
            lambda state: measure(Model(networks, state.params, state.batch_stats), x)[1],
            *(batches, config, folder),
        )
    return Model(networks, state.params, state.batch_stats)


def measure(model: Model, x: np.ndarray) -> tuple[measures.Points, dict[str, jax.Array]]:
    """What the model makes of x and of prior draws, and the measures of it."""
    return measures.of_model(model.networks, model.params, model.batch_stats, x, MIXTURE)


def ended(config: ConfigDict, workdir: Path, game: str) -> dict[range, loop.Rows]:
    """The groups of draws of which the search has trained all steps, each with its rows."""
    folders = {group: groups.folder(workdir, game, group) for group in groups.kept(workdir, game)}
    return {
        group: loop.read_rows(folder, config.num_steps)
        for group, folder in folders.items()
        if max(kept_steps(folder), default=0) == config.num_steps
    }


def load_best(config: ConfigDict, workdir: Path, game: str) -> tuple[Model, int]:
    """The run of a search that covers most modes, of those that were trained to the end, and its number."""
    found = ended(config, workdir, game)
    if not found:
        raise UserError(
            f"The search in {workdir} has trained none of its {game.upper()} runs for {config.num_steps} "
            "steps; run `python -m experiments.mixture search` with this --workdir first."
        )
    members = [(group, n) for group in found for n in group]
    group, number = members[search.best(groups.joined([*found.values()])[-1])]
    one = {"x": jax.ShapeDtypeStruct((1, *config.model.x_shape), jnp.float32)}
    shapes = jax.eval_shape(functools.partial(search.init_all, config, game, group), one)
    with Checkpoints(groups.folder(workdir, game, group), read_only=True) as checkpoints:
        _, states = loop.restore(checkpoints, shapes)
    place = group.index(number)
    params, batch_stats = jax.tree.map(lambda leaf: leaf[place], (states.params, states.batch_stats))
    return Model(search.build(config, game), params, batch_stats), number
