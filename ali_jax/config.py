"""What every config holds, with its default, and the checks that need no data."""

import json
from pathlib import Path

from ml_collections import ConfigDict, config_dict

from ali_jax.errors import UserError


def default() -> ConfigDict:
    """The fields that all configs share; a config adds `dataset`, splits, `num_steps` and `model`."""
    config = ConfigDict()
    config.seed = 0  # of parameters, noise, dropout and the order of the data

    config.dataset = ""  # a name that `data.load` knows
    config.train_split = ""
    config.validation_split = ""  # figures reconstruct its first images
    config.data_dir = config_dict.placeholder(str)  # None: where tensorflow_datasets keeps its own

    config.batch_size = 100  # over all devices of all processes
    config.num_steps = 0
    config.dtype = "float32"  # of the computation; "bfloat16" keeps parameters and statistics float32
    # Optimised steps in one call of the device; above 1 pays where a step takes less than a millisecond.
    config.steps_per_dispatch = 1

    # Adam for all three networks. The paper's "beta2 = 1e-3" is the weight of the NEW gradient, in the
    # convention of its library at the time: today's b2 = 0.999 (and 0.5 is 0.5 either way).
    config.learning_rate = 1e-4
    config.b1 = 0.5
    config.b2 = 0.999

    config.log_every = 100  # steps
    config.figures_every = 1000
    config.checkpoint_every = 1000
    config.keep_checkpoints = 3  # the latest ones

    config.model = ConfigDict()  # see `models.build`
    config.model.prior = "normal"  # of z; "uniform" is over [-1, 1]
    config.model.num_attributes = 0  # above 0: the networks are conditional on as many
    return config


def check(config: ConfigDict) -> None:
    """Raises UserError, naming the field, for a value that no run can use."""
    counts = "batch_size num_steps steps_per_dispatch log_every figures_every checkpoint_every"
    for field in [*counts.split(), "keep_checkpoints"]:
        if config[field] < 1:
            raise UserError(f"config.{field} is {config[field]}; it must be at least 1.")
    if not config.learning_rate > 0:
        raise UserError(f"config.learning_rate is {config.learning_rate}; it must be above 0.")
    for field in ("b1", "b2"):
        if not 0 <= config[field] < 1:
            raise UserError(f"config.{field} is {config[field]}; it must be in [0, 1).")


# A resumed run may change these; every other field is part of what was trained.
MAY_CHANGE = (
    "num_steps",
    "data_dir",
    "dtype",
    "log_every",
    "figures_every",
    "checkpoint_every",
    "keep_checkpoints",
    "steps_per_dispatch",
)


def to_json(config: ConfigDict) -> str:
    return json.dumps(config.to_dict(), indent=2) + "\n"


def read(workdir: Path) -> ConfigDict:
    """The config that `workdir` was trained with; fields that are newer than it have their defaults."""
    path = Path(workdir) / "config.json"
    try:
        config = default()
        config.update(json.loads(path.read_text()))
        return config
    except FileNotFoundError:
        raise UserError(
            f"{workdir} holds no config.json, so no training was started there; pass the --workdir of "
            "a run of ali_jax.main."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); restore it or use another workdir.") from None


def check_same_run(config: ConfigDict, workdir: Path) -> None:
    """Raises UserError if `workdir` was begun with a config that trains something else."""
    before, now = (json.loads(to_json(c)) for c in (read(workdir), config))
    for field in sorted({*before, *now} - {*MAY_CHANGE}):
        was, is_now = before.get(field), now.get(field)
        if was == is_now:
            continue
        if isinstance(was, dict) and isinstance(is_now, dict):
            inner = next(k for k in sorted({*was, *is_now}) if was.get(k) != is_now.get(k))
            field, was, is_now = f"{field}.{inner}", was.get(inner), is_now.get(inner)
        raise UserError(
            f"{workdir} was begun with config.{field} = {_short(was)}, not {_short(is_now)}; "
            "resume it with its own config, or pass another --workdir."
        )


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def reading(name: str, **values):
    """values[name]: what a config does in the variant behind its colon (configs/cifar10.py:paper)."""
    if name not in values:
        raise UserError(
            f"The config knows no variant {name!r}; after its colon write one of {', '.join(values)}."
        )
    return values[name]
