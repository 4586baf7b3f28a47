"""The games of the golden tests: small networks of every kind, and what they are played on.

All that calls the package is here, as far as a redesign may have to change it; the recorded values do not
change with it.
"""

import functools
from pathlib import Path

import jax
import numpy as np
from conftest import QUICK, load_config, make_tiny_config

from ali_jax import build, data, inference, train
from ali_jax.data.labels import MixedBatches, labelled_rows
from ali_jax.models.dropout import dropout
from ali_jax.models.rows import dense
from ali_jax.run.workdirs import read_config

# Of what came after the values were recorded: the shares of each term where there are several.
LATER_METRICS = ("loss_adversarial", "loss_adversarial_d", "loss_adversarial_ge", "loss_feature_matching")


def configs():
    """{name: config} of a small network of every kind."""
    found = {
        "convolutions": narrow("mnist", "paper"),
        "maxout": small_maxout(),
        "conditional": small_conditional(),
        "bigan": narrow("mnist_bigan"),
        "mixture": narrow("mixture", "ali", width=10, latent_dim=2),
        "gan": narrow("mixture", "gan", width=10, latent_dim=2),
        "semi_supervised": narrow("digits_semi_supervised"),
        "feature_matching": narrow("digits_semi_supervised", "feature_matching"),
        "supervised": narrow("digits_semi_supervised", "supervised"),
        "input_noise": narrow("mnist_semi_supervised"),
    }
    found["bigan"].weight_decay = 0.0
    # Recorded before its batch normalisation and its codes were those of its code.
    bigan = found["bigan"].model
    bigan.encoder = (*bigan.encoder[:-1], dense(4, nonlinearity="linear", bias="none"))
    bigan.plain_norm = bigan.norm_by_kind = ()
    bigan.discriminator_joint = (dense(8), bigan.discriminator_joint[-1])
    # So few steps that the rate decays within those that are played, and an average that is soon, after three
    # of them, the exponential one.
    found["bigan"].num_steps = found["input_noise"].num_steps = 6
    found["input_noise"].average_rate = 0.7
    found["input_noise"].terms.adversarial.d = 0.5
    return found


def narrow(name: str, *variant: str, width: int = 8, latent_dim: int = 4):
    """A config of configs/ with hidden layers of at most `width` features and larger weights.

    With the config's own standard deviation, made for wide layers, D's logits would be 0 to five digits.
    """
    config = load_config(name, *variant)
    model = config.model
    model.latent_dim, model.init_std = latent_dim, 0.2
    for field in ("encoder", "generator", "discriminator_x", "discriminator_z", "discriminator_joint"):
        rows = model[field] or ()
        count = len(rows) if field in ("discriminator_x", "discriminator_z") else len(rows) - 1
        thin = tuple((*row[:3], min(row[3], width), *row[4:]) for row in rows[:count])
        if rows:
            model[field] = (*thin, *rows[count:])
    if model.encoder is not None:
        (*hidden, head), codes = model.encoder, 2 if model.posterior == "gaussian" else 1
        model.encoder = (*hidden, (*head[:3], codes * latent_dim, *head[4:]))
    return config


def small_maxout():
    """The discriminator of configs/cifar10.py with an encoder and a generator of three layers."""
    config = narrow("cifar10")
    model = config.model
    model.encoder = (
        ("convolution", 4, 2, 6, True, 0.0, "leaky_relu"),
        ("convolution", 5, 2, 8, True, 0.0, "leaky_relu"),
        ("convolution", 6, 1, 8, False, 0.0, "linear", "tied"),
    )
    model.generator = (
        ("transposed", 6, 1, 8, True, 0.0, "leaky_relu"),
        ("transposed", 5, 2, 6, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 3, False, 0.0, "sigmoid", "untied"),
    )
    return config


def small_conditional():
    """As configs/celeba_conditional.py, with two layers where it has five, for images of 8x8."""
    config, embedding = load_config("celeba_conditional"), ("embed", 1, 1, 3, False, 0.0, "linear", "tied")
    model = config.model
    model.x_shape, model.latent_dim, model.num_attributes, model.init_std = (8, 8, 3), 4, 5, 0.2
    model.encoder = (
        ("convolution", 4, 2, 6, True, 0.0, "leaky_relu"),
        ("convolution", 2, 1, 8, True, 0.0, "leaky_relu"),
        embedding,
        ("convolution", 2, 1, 8, False, 0.0, "linear", "tied"),
    )
    model.generator = (
        embedding,
        ("transposed", 3, 1, 8, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 6, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 3, False, 0.0, "sigmoid", "untied"),
    )
    model.discriminator_x = (
        ("convolution", 4, 2, 6, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 3, 1, 8, True, 0.2, "leaky_relu"),
    )
    model.discriminator_z = (("convolution", 1, 1, 8, False, 0.2, "leaky_relu", "none"),)
    model.discriminator_joint = (
        embedding,
        ("convolution", 1, 1, 10, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 1, False, 0.2, "linear", "tied"),
    )
    return config


def course(config, batches):
    """The jitted steps of a config on these batches -> (state at first, metrics by step, state at last)."""
    jit = functools.partial(jax.jit, compiler_options=QUICK)  # nearly all the time is the compiler's
    game = build.game(config)
    state = jit(game.init)(jax.random.key(11), batch=batches[0])

    def recorded(state, batch):
        """A step with the metrics that there were: another output may change how XLA rounds."""
        state, scalars = game.step(state, batch)
        return state, {name: value for name, value in scalars.items() if name not in LATER_METRICS}

    start, step, metrics = as_arrays(state), jit(recorded), []
    for batch in batches:
        state, scalars = step(state, batch)
        metrics.append(jax.device_get(scalars))
    return start, metrics, as_arrays(state)


def as_arrays(state):
    """What a training state holds, as nested dicts of arrays by role and layer; None: not kept."""

    def by_role(values):
        return None if values is None else jax.device_get(values._asdict())

    params, batch_stats = state.average or (None, None)
    return {
        "params": by_role(state.params),
        "batch_stats": by_role(state.batch_stats),
        "average_params": by_role(params),
        "average_batch_stats": by_role(batch_stats),
    }


def draws():
    """{name: what is drawn}: lists of whole numbers and bits, the same on every machine."""
    label = words(200, seed=1) % 10
    rows = {seed: labelled_rows(label, 20, seed) for seed in (0, 1)}
    kept = dropout(jax.random.key(7), np.ones((4, 6, 5), np.float32), 0.3) != 0
    plain = data.Split(np.arange(23), np.arange(23) % 3, None)
    known = data.Split(np.arange(200), label.astype(np.int32), None)
    streams = {
        "batches": (data.Batches(plain, 8, 3), 4),  # beyond the first epoch
        "batches_of_process_1_of_2": (data.Batches(plain, 8, 3, 1, 2), 4),
        "mixed_batches": (MixedBatches(known, rows[0], 9, 3, 3), 8),  # so do the labelled
        "mixed_batches_of_process_1_of_2": (MixedBatches(known, rows[0], 8, 4, 3, 1, 2), 8),
    }
    taken = {
        f"{name}_{field}": [stream[step][field].tolist() for step in range(count)]
        for name, (stream, count) in streams.items()
        for field in ("x", "label")
    }
    labelled = {f"labelled_rows_of_seed_{seed}": of_seed.tolist() for seed, of_seed in rows.items()}
    return {"dropout_mask": np.packbits(kept).tobytes().hex()} | labelled | taken


def train_run(workdir: Path) -> None:
    """Trains the run that tests/golden/run holds, but for its figures and metrics."""
    config = make_tiny_config()
    config.num_steps = config.checkpoint_every = 4
    config.average_rate = 0.1
    train.train_and_evaluate(config, workdir)


def use_run(workdir: Path, images: np.ndarray):
    """{name: what a trained model gives for it}."""
    model = inference.load(workdir)
    return {
        "encode": inference.encode(model, images),
        "encode_with_key": inference.encode(model, images, key=jax.random.key(5)),
        "reconstruct": inference.reconstruct(model, images),
        "sample": inference.sample(model, jax.random.key(4), 6),
    }


def resume_run(workdir: Path):
    """Three more steps of a trained run -> the state at the end."""
    config = read_config(workdir)
    config.num_steps += 3
    return as_arrays(train.train_and_evaluate(config, workdir))


# --- What the games are played on -----------------------------------------------------------------

STEPS, BATCH = 5, 8

# Of each game: the shape of an example, and which of its examples have labels ("all", or every second one) or
# attributes.
GAMES = {
    "convolutions": {"x": (28, 28, 1)},
    "maxout": {"x": (32, 32, 3)},
    "conditional": {"x": (8, 8, 3), "attributes": 5},
    "bigan": {"x": (28, 28, 1)},
    "mixture": {"x": (2,)},
    "gan": {"x": (2,)},
    "semi_supervised": {"x": (8, 8, 1), "label": "half"},
    "feature_matching": {"x": (8, 8, 1), "label": "half"},
    "supervised": {"x": (8, 8, 1), "label": "all"},
    "input_noise": {"x": (28, 28, 1), "label": "half"},
}


def words(*shape: int, seed: int) -> np.ndarray:
    """Random uint32 in this shape; raw bits, because NumPy keeps those the same in every version."""
    raw = np.random.Philox(np.random.SeedSequence([2016, seed])).random_raw(int(np.prod(shape)))
    return (raw >> np.uint64(32)).astype(np.uint32).reshape(shape)


def make_batches(x: tuple, label: str = "none", attributes: int = 0) -> list[dict[str, np.ndarray]]:
    batches = []
    for step in range(STEPS):
        bits = words(BATCH, *x, seed=10 * step)
        points = (bits >> 8).astype(np.float32) * np.float32(2**-21) - 4  # in [-4, 4)
        batch = {"x": (bits >> 24).astype(np.uint8) if len(x) > 1 else points}
        if label != "none":
            batch["label"] = (words(BATCH, seed=10 * step + 1) % 10).astype(np.int32)
        if label == "half":
            batch["label"][::2] = -1
        if attributes:
            batch["attributes"] = (words(BATCH, attributes, seed=10 * step + 2) >> 31).astype(np.uint8)
        batches.append(batch)
    return batches
