"""A trained run as the programs on it see it: its config, its model and its data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from ali_jax import build, data, inference, pretrained, train
from ali_jax.data.splits import as_floats
from ali_jax.errors import UserError
from ali_jax.examples import fit
from ali_jax.examples import load as load_split
from ali_jax.run import begun
from ali_jax.run.workdirs import folder, read_config


class Run(NamedTuple):
    """A workdir and what it holds."""

    workdir: Path
    config: ConfigDict
    model: inference.Model
    training: dict[str, Any]  # how it was begun, as far as is known


def read(asked: str | Path | None, data_dir: str | None = None) -> tuple[Path, ConfigDict]:
    """The folder of --workdir and the config of its run.

    --workdir may also be an exported model, a file or a name; its folder is then runs/models/<name>, which is
    no run's, as runs/<name> may be.

    Args:
      asked: --workdir.
      data_dir: where the data set is now; None: where the config says.

    Raises:
      UserError: it was not given, or holds no run.
    """
    if asked is None:
        raise UserError("Which run? Pass the --workdir of a run of ali_jax.main.")
    if asked in pretrained.names() or folder(asked).is_file():
        where, config = Path("runs", "models", pretrained.find(asked).stem), pretrained.config_of(asked)
    else:
        where, config = folder(asked), read_config(folder(asked))
        begun.read(where)  # a damaged one is told here, and not once all is measured
    if data_dir is not None:
        config.data_dir = data_dir
    return where, config


def load(asked: str | Path | None, data_dir: str | None = None, *, needs_encoder: bool = True) -> Run:
    """The run in --workdir, at its newest readable checkpoint; see `read`.

    Raises:
      UserError: there is no run, no checkpoint, or no encoder where one is needed.
    """
    workdir, config = read(asked, data_dir)
    if config.labelled_batch_size and not build.needs_of_config(config).generated:
        raise UserError(
            f"{workdir} holds a classifier, whose generator is untrained; pass another --workdir."
        )
    if needs_encoder and config.model.encoder is None:
        raise UserError(
            f"{workdir} holds a plain GAN, which has no encoder; pass the --workdir of an ALI run."
        )
    training = begun.read(workdir)
    if not (workdir / "config.json").exists():  # a file, or a name
        about = pretrained.about(asked)
        training = {"command": about.command, "sha256": about.sha256}
    return Run(workdir, config, inference.load(asked), training)


def untrained(config: ConfigDict) -> inference.Model:
    """The networks as the config's seed makes them: random kernels, running statistics still 0 and 1."""
    game = build.game(config)
    state = train.fresh_state(config, game, examples(config, config.train_split))
    return inference.Model(game.networks, state.params, state.batch_stats, 0)


def examples(config: ConfigDict, split: str) -> data.Split:
    """A split of the run's data set, as its networks want it."""
    return fit(load_split(config, split), config)


def refuse_points(config: ConfigDict, split: data.Split) -> None:
    """Raises UserError where the examples are not images."""
    if split.x.ndim != 4:
        raise UserError(f"{config.dataset} holds points, not images; pass a config or a run of images.")


def describe(config: ConfigDict, name: str, split: data.Split) -> str:
    """ "svhn_cropped, split extra, 4,000 examples": which data, and how much of them is on this disk."""
    classes = f", classes {', '.join(map(str, config.classes))}" if config.classes else ""
    return f"{config.dataset}, split {name}{classes}, {len(split.x):,} examples"


def pixels(x: np.ndarray) -> np.ndarray:
    """Images (N, ...) as vectors of float32, uint8 ones scaled to [0, 1]: (N, D)."""
    return as_floats(np.asarray(x).reshape(len(x), -1))


def refuse_overlap(names: tuple[str, str], splits: Sequence[data.Split]) -> None:
    """Raises UserError where many of the second split's images are the first one's, which teach.

    A tenth may be, as some data sets hold images twice.
    """
    known = {hash(np.asarray(x).tobytes()) for x in splits[0].x}
    share = np.mean([hash(np.asarray(x).tobytes()) in known for x in splits[1].x])
    if share > 0.1:
        raise UserError(
            f"{100 * share:.0f} % of the images of {names[1]} are also among those of {names[0]}, from which "
            "is learned what judges them; name splits that share none."
        )
