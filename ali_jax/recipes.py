"""What we make of the paper's models: a game with terms of ours, and networks that a CPU trains in an hour.

Configs of the paper's models end in `vary`; what is not the paper's stands behind a colon,
`--config=configs/svhn.py:recipe` and `:small`.
"""

from itertools import pairwise
from typing import NamedTuple

from ml_collections import ConfigDict

from ali_jax.config import as_terms, reading
from ali_jax.models.rows import Row, conv, transposed

WIDTH = 32  # features of their first layer


class Kind(NamedTuple):
    """What the recipe is for a kind of images."""

    contrast: dict[str, float]  # its settings, first of all what copies go through
    cycle: float = 10.0
    # Codes of two images are about 16 apart, as the term measures it: at a temperature of 1 a reconstruction
    # is soon told from all others, and no more is asked of it. 8 goes on asking: photographs keep their class
    # more often by it.
    recognition: dict[str, float] | None = {"weight": 15.0, "temperature": 8.0}  # noqa: RUF012 - never changed
    # Dimensions of the small networks' codes. The paper's 256 they do not fill, and D sees that at once.
    latent_dim: int = 128


# A copy may differ in what says nothing of the thing that is seen: where it is, how large, in which light.
_COPY = {"temperature": 1.0, "translation": 1 / 8, "zoom": 0.4, "colour": 1.0}
# What copies change, reconstructions need: a part of the code is left to it.
_ANY = _COPY | {"share": 0.75}
KINDS = {
    "any": Kind(_ANY),
    # They mean the same in a mirror, as faces do and letters do not.
    "mirrored": Kind(_ANY | {"mirror": 0.5}),
    # As house numbers: slanted, light on dark or dark on light. They keep more where most of a code is left
    # to what copies change, and less by a recognition at a higher temperature.
    "signs": Kind(
        _COPY | {"share": 0.25, "shear": 0.3, "negative": 0.5},
        cycle=3.0,
        recognition={"weight": 5.0},
    ),
    # No photographs, as handwritten digits: in their middle, of one size, and of one colour. They keep their
    # class without a recognition; in its place a score of x alone widens the samples. (On photographs such a
    # score costs reconstructions and widens nothing.)
    "strokes": Kind(
        _COPY | {"translation": 1 / 14, "zoom": 0.25, "shear": 0.3},
        cycle=5.0,
        recognition=None,
        latent_dim=64,
    ),
}


def vary(
    config: ConfigDict,
    variant: str,
    *,
    small_steps: int,
    kind: str = "any",
    width: int = WIDTH,
    readings: tuple[str, ...] = (),
) -> ConfigDict:
    """Changes the config of one of the paper's models to a variant, as it is or with our recipe; returns it.

    Reconstructions are held to their images by a cycle; codes of an image and of a changed copy are held
    together by a contrast, so that what they say first is not where things are or how bright; by what E then
    tells images apart, reconstructions shall be recognised; D's slope is kept in check, and the parameters
    are averaged under a falling rate. See "Ablations" in experiments/README.md.

    Args:
      variant: "recipe": our terms on the config's networks; "small": on small ones, see `make_small`.
      small_steps: length of the small run.
      kind: of images, one of KINDS.
      width: of the small networks, as `make_small` has it.
      readings: variants of the paper's model itself, which the config has.
    """
    if not reading(variant, recommended=False, recipe=True, small=True, **dict.fromkeys(readings, False)):
        return config
    contrast, cycle, recognition, latent_dim = KINDS[kind]
    config.terms = as_terms(
        {
            "adversarial": {},
            "cycle": {"weight": cycle},
            "contrast": contrast,
            "r1": {"gamma": 0.1},
            **({"recognition": recognition} if recognition else {"unary_x": {}}),
        }
    )
    if not recognition:
        config.model.discriminator_x_head = (conv(1, nonlinearity="linear"),)
    config.learning_rate = 5e-4
    config.decay_after = 0.5
    config.average_rate = 2e-3
    if variant == "small":
        config.learning_rate = 1e-3
        config.num_steps = small_steps
        config.figures_every = config.checkpoint_every = small_steps // 5
        make_small(config.model, latent_dim, width)
    return config


def make_small(model: ConfigDict, latent_dim: int, width: int = WIDTH) -> None:
    """Gives all three networks few and narrow layers, which have strides from the first on.

    A CPU spends its time where images are large: one layer of stride 2 (4 at 64x64) leaves maps of 15x15,
    and few layers do the rest. Embeddings of attributes stay where they are.

    Args:
      model: of square images of any size from 8x8.
      latent_dim: of the codes.
      width: features of the first layer of E and D, and of the last but one of G.
    """
    layers = small_layers(model.x_shape[0], width)
    (_, kernel_of_x, stride_of_x), (hidden, _, _) = layers[0], layers[-1]
    model.leak, model.init_std = 0.1, 0.05
    model.latent_dim = latent_dim
    model.encoder = (
        *(conv(features, kernel, stride=stride, norm=True) for features, kernel, stride in layers),
        *_embeddings(model.encoder),
        conv(2 * latent_dim, nonlinearity="linear"),  # mu and log sigma
    )
    model.generator = (
        *_embeddings(model.generator),
        conv(hidden, norm=True),
        *_upwards(layers),
        transposed(model.x_shape[2], kernel_of_x, stride=stride_of_x, nonlinearity="sigmoid", bias="untied"),
    )
    model.discriminator_x = tuple(
        conv(features, kernel, stride=stride, norm=number > 0, dropout=0.2)
        for number, (features, kernel, stride) in enumerate(layers)
    )
    model.discriminator_z = (conv(hidden, dropout=0.2, bias="none"), conv(hidden, dropout=0.2, bias="none"))
    model.discriminator_joint = (
        *_embeddings(model.discriminator_joint),
        conv(2 * hidden, dropout=0.2),
        conv(2 * hidden, dropout=0.2),
        conv(1, dropout=0.2, nonlinearity="linear"),
    )


def small_layers(side: int, width: int) -> list[tuple[int, int, int]]:
    """(features, kernel, stride) of convolutions from a square image to one pixel; each covers its input.

    The first leaves a map of 15x15 of images of 32x32 and 64x64, of others no more than 22x22; the last takes
    all that is left.
    """
    stride = max(2, side // 16)
    kernel = 2 * stride + side % stride
    layers = [(width, kernel, stride)]
    left = (side - kernel) // stride + 1
    while left > 7:
        kernel = 4 + left % 2
        layers.append((2 * layers[-1][0], kernel, 2))
        left = (left - kernel) // 2 + 1
    return [*layers, (8 * width, left, 1)]


def _upwards(layers: list[tuple[int, int, int]]) -> list[Row]:
    """The layers the other way round, each with as many features as the one that it mirrors takes in."""
    return [
        transposed(below[0], kernel, stride=stride, norm=True)
        for below, (_, kernel, stride) in reversed([*pairwise(layers)])
    ]


def _embeddings(rows: tuple) -> tuple[Row, ...]:
    """The rows that append an embedding of the attributes."""
    return tuple(row for row in (Row(*row) for row in rows) if row.operation.startswith("embed"))
