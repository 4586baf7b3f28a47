"""What we make of the paper's models: a game with terms of ours, and networks that a CPU trains in an hour.

Configs of the paper's models end in `vary`; what is not the paper's stands behind a colon,
`--config=configs/svhn.py:recipe` and `:small`.
"""

from itertools import pairwise
from typing import NamedTuple

from ml_collections import ConfigDict

from ali_jax.config import as_terms, make_semi_supervised, reading
from ali_jax.models.rows import Row, conv, mean, transposed

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
    # Where D learns classes from few labels: strength of the changes of colour in all images that it sees,
    # and the game, of config.SEMI_SUPERVISED. On photographs mixup makes fewer mistakes than consistency, on
    # signs and strokes more; an average of D teaches them no better than D itself.
    colour: float = 0.0
    few_labels: str = "ali_mixup"


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
        colour=0.5,
        few_labels="ali_consistency",
    ),
    # No photographs, as handwritten digits: in their middle, of one size, and of one colour. They keep their
    # class without a recognition; in its place a score of x alone widens the samples. (On photographs such a
    # score costs reconstructions and widens nothing.)
    "strokes": Kind(
        _COPY | {"translation": 1 / 14, "zoom": 0.25, "shear": 0.3},
        cycle=5.0,
        recognition=None,
        latent_dim=64,
        few_labels="ali_consistency",
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
    together by a contrast, so that what they say first is not where things are or how bright; a recognition
    asks that E can tell each image from the others of its batch by its reconstruction; D's slope is kept in
    check, and the parameters are averaged under a falling rate. See experiments/reports/ablations.md.

    Args:
      variant: "recipe": our terms on the config's networks; "small": on small ones, see `make_small`.
      small_steps: length of the small run.
      kind: of images, one of KINDS.
      width: of the small networks, as `make_small` has it.
      readings: variants of the paper's model itself, which the config has.
    """
    if not reading(variant, recommended=False, recipe=True, small=True, **dict.fromkeys(readings, False)):
        return config
    ours = KINDS[kind]
    config.terms = as_terms(
        {
            "adversarial": {},
            "cycle": {"weight": ours.cycle},
            "contrast": ours.contrast,
            "r1": {"gamma": 0.1},
            **({"recognition": ours.recognition} if ours.recognition else {"unary_x": {}}),
        }
    )
    if not ours.recognition:
        config.model.discriminator_x_head = (conv(1, nonlinearity="linear"),)
    config.learning_rate = 5e-4
    config.decay_after = 0.5
    config.average_rate = 2e-3
    if variant == "small":
        config.learning_rate = 1e-3
        config.num_steps = small_steps
        config.figures_every = config.checkpoint_every = small_steps // 5
        make_small(config.model, ours.latent_dim, width)
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


def teach(
    config: ConfigDict,
    game: str,
    kind: str = "any",
    *,
    num_classes: int,
    labelled: int,
    unlabelled: int,
    width: int = WIDTH,
) -> None:
    """Changes a config into the semi-supervised game, with a D that is made to tell classes apart.

    Args:
      config: of square images of any size from 8x8.
      game: and the numbers of classes and of examples of a batch: as `config.make_semi_supervised` has them.
      kind, width: as `make_classifying` has them.
    """
    make_classifying(config, kind, width)
    make_semi_supervised(config, game, num_classes=num_classes, labelled=labelled, unlabelled=unlabelled)
    if "adversarial" in config.terms:
        config.terms.adversarial.d = 0.5  # beside the labels' weight of 1


def make_classifying(config: ConfigDict, kind: str = "any", width: int = WIDTH) -> None:
    """Changes a config so that D tells classes apart by few labels.

    D_x gets the layers of a classifier. Noise on z keeps D from knowing images by their codes, and what D_z
    says is bounded, as E now and then makes codes so far out that they would drown D_x. Images are moved
    before D sees them, and changed in what else says nothing of their class, as few labels are soon learned
    by heart.

    Args:
      config: of square images of any size from 8x8.
      kind: of images, one of KINDS.
      width: half the features of the first layer of D_x.
    """
    copy = KINDS[kind].contrast
    config.disturbance.translation = copy["translation"]
    config.disturbance.mirror = copy.get("mirror", 0.0)
    config.disturbance.colour = KINDS[kind].colour
    model = config.model
    model.discriminator_x = classifying_rows(model.x_shape[0], 2 * width)
    hidden = 8 * width
    model.discriminator_z = (
        conv(hidden, input_noise=0.5),
        conv(hidden, dropout=0.2, nonlinearity="tanh"),
    )
    model.discriminator_joint = (
        *_embeddings(model.discriminator_joint),
        conv(hidden, dropout=0.5),
        conv(1, nonlinearity="linear"),
    )


def classifying_rows(side: int, width: int) -> tuple[Row, ...]:
    """Narrow convolutions, batch normalised, and the mean over what they leave of a square image.

    The first, with a stride at images of 64x64 and more, leaves a map no larger than 61x61; each layer covers
    its input.
    """
    stride = max(1, side // 32)
    kernel = 2 * stride + 1 + (side - 1) % stride
    rows = [conv(width, kernel, stride=stride, norm=True)]
    left = (side - kernel) // stride + 1
    while left > 5:
        kernel = 4 + left % 2
        rows.append(conv(width, kernel, stride=2, norm=True))
        left = (left - kernel) // 2 + 1
        if left >= 3:
            width *= 2
            rows.append(conv(width, 3, norm=True, dropout=0.2))
            left -= 2
    return *rows, conv(width, norm=True), mean(width)


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
