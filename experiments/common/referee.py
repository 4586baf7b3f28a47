"""A referee: a small classifier of real images, which says what it sees in reconstructions and samples.

It learns from labelled training images alone, from classes or, where a data set has these instead, from
attributes; its own accuracy on real images stands beside whatever it says. Arrays in, arrays out: where it is
kept is `referee_files`.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from ali_jax import data
from ali_jax.inference.chunks import in_chunks
from ali_jax.models import Row, Stack, unit_interval
from ali_jax.models.rows import conv, dense

KINDS = ("classes", "attributes")
SMALLEST = 6  # pixels a side: what is no larger goes to the dense layers
LEAK = 0.1


class Settings(NamedTuple):
    """What a referee is trained with; all of it is part of what it is."""

    width: int = 32  # feature maps of the first convolution; each next one has twice as many
    hidden: int = 128  # of the last hidden layer, whose values are the features of distances
    dropout: float = 0.2
    steps: int = 1500
    batch_size: int = 100
    learning_rate: float = 2e-3  # falls to 0 on half a cosine
    weight_decay: float = 0.01
    shift: int = 2  # pixels, at most, that a training image is moved by in each direction
    mirror: bool = False
    seed: int = 0


class Referee(NamedTuple):
    """A trained one."""

    kind: str  # of KINDS: one class of `outputs`, or each of `outputs` attributes yes or no
    outputs: int
    settings: Settings
    variables: dict[str, Any]


# What a data set needs other than the defaults. Those whose images mean the same in a mirror are mirrored.
OWN = {
    "digits": {"hidden": 64, "shift": 0, "dropout": 0.4, "steps": 1000},
    "cifar10": {"mirror": True, "steps": 4500, "dropout": 0.1},
    "fashion_mnist": {"mirror": True},
    "celeb_a": {"mirror": True, "width": 16, "steps": 1000},
    "imagenet2012": {"mirror": True, "width": 16, "steps": 4500},
    "imagenet_resized/64x64": {"mirror": True, "width": 16, "steps": 4500},
}


def settings_for(dataset: str) -> Settings:
    """What serves the data set within a minute or two on a core."""
    return Settings(**OWN.get(dataset, {}))


def targets(split: data.Split) -> tuple[str, np.ndarray] | None:
    """(kind, what is to be told of each image): labels (N,), else attributes (N, A); None without either."""
    if split.label is not None:
        return "classes", np.asarray(split.label)
    if split.attributes is not None:
        return "attributes", np.asarray(split.attributes)
    return None


def rows(x_shape: tuple[int, ...], settings: Settings, outputs: int) -> tuple[Row, ...]:
    """The network's rows: convolutions of stride 2 down to a few pixels, a hidden layer, and the head.

    Dropout is on the inputs of both dense layers.
    """
    side, width, convolutions = x_shape[0], settings.width, []
    while side > SMALLEST:
        kernel = 4 if side % 2 == 0 else 5  # stride 2 then covers the image exactly
        convolutions.append(conv(width, kernel, stride=2, norm=True))
        side, width = (side - kernel) // 2 + 1, 2 * width
    return (
        *convolutions,
        dense(settings.hidden, norm=True, dropout=settings.dropout),
        dense(outputs, dropout=settings.dropout, nonlinearity="linear"),
    )


def network(x_shape: tuple[int, ...], settings: Settings, outputs: int) -> Stack:
    return Stack(rows(x_shape, settings, outputs), 0.05, LEAK, jnp.float32)


def train(split: data.Split, settings: Settings) -> Referee:
    """A referee of these images, (N, H, W, C) with labels or attributes."""
    kind, y = targets(split)
    outputs = int(y.max()) + 1 if kind == "classes" else y.shape[1]
    stack = network(split.x.shape[1:], settings, outputs)
    rate = optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
    optimizer = optax.adamw(rate, weight_decay=settings.weight_decay)
    step = jax.jit(functools.partial(_step, stack, optimizer, kind), donate_argnums=0)

    variables = stack.init(jax.random.key(settings.seed), unit_interval(jnp.asarray(split.x[:1])))
    state = (variables["params"], variables["batch_stats"], optimizer.init(variables["params"]))
    random = np.random.default_rng(settings.seed)
    batches = data.Batches(data.Split(split.x, y, None), min(settings.batch_size, len(y)), settings.seed)
    for number in tqdm(range(settings.steps), "referee", disable=None, leave=False):
        batch = batches[number]
        x = augment(batch["x"], settings.shift, settings.mirror, random)
        state = step(state, jax.random.key(number), x, batch["label"])
    return Referee(kind, outputs, settings, {"params": state[0], "batch_stats": state[1]})


def _step(stack: Stack, optimizer, kind: str, state, key: jax.Array, x: jax.Array, y: jax.Array):
    params, batch_stats, opt_state = state

    def loss(params):
        variables = {"params": params, "batch_stats": batch_stats}
        rngs = {"dropout": key}
        logits, mutated = stack.apply(
            variables, unit_interval(x), train=True, rngs=rngs, mutable=["batch_stats"]
        )
        if kind == "classes":
            each = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        else:
            each = optax.sigmoid_binary_cross_entropy(logits, y.astype(jnp.float32))
        return jnp.mean(each), mutated["batch_stats"]

    grads, batch_stats = jax.grad(loss, has_aux=True)(params)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), batch_stats, opt_state


def augment(x: np.ndarray, shift: int, mirror: bool, random: np.random.Generator) -> np.ndarray:
    """Images (N, H, W, C), each moved by up to `shift` pixels (its edge repeated) and, of half, mirrored."""
    count, height, width, _ = x.shape
    moved = random.integers(-shift, shift + 1, (2, count))
    down = np.clip(np.arange(height) + moved[0][:, None], 0, height - 1)  # (N, H)
    right = np.clip(np.arange(width) + moved[1][:, None], 0, width - 1)  # (N, W)
    if mirror:
        turned = random.random(count) < 0.5
        right[turned] = right[turned, ::-1]
    return x[np.arange(count)[:, None, None], down[:, :, None], right[:, None, :]]


class Opinion(NamedTuple):
    """What a referee says of N images."""

    logits: np.ndarray  # (N, outputs)
    features: np.ndarray  # (N, hidden): its last hidden layer, after the nonlinearity

    def seen(self, kind: str) -> np.ndarray:
        """The class of each image, (N,), or its attributes, uint8 (N, A)."""
        return self.logits.argmax(axis=1) if kind == "classes" else (self.logits > 0).astype(np.uint8)


def look(referee: Referee, x: np.ndarray) -> Opinion:
    """x: uint8 or [0, 1] float (N, H, W, C)."""
    stack = network(x.shape[1:], referee.settings, referee.outputs)
    return Opinion(*in_chunks(functools.partial(_look, stack, referee.variables), x))


@functools.partial(jax.jit, static_argnums=0)
def _look(stack: Stack, variables, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return stack.apply(variables, unit_interval(x), with_hidden=True)
