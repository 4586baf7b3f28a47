"""Images of your own, of any size from 8x8: a folder of them, or a file of arrays.

    python -m ali_jax.main --config=configs/images.py:64 --config.dataset=images:photos --workdir=runs/photos
    python -m ali_jax.main --config=configs/images.py:28,grey --config.dataset=arrays:mine.npz

Behind the colon stands the side of the images, to which yours are brought as `config.images` says, and, with
commas, what else there is to say:

    grey            one channel instead of three
    mirrored        they mean the same in a mirror, as faces do and letters do not; or
    signs           photographs of signs, as house numbers, which may be light on dark; or
    strokes         no photographs, as handwritten letters, each in the middle of its image
    attributes=40   conditional on as many, as configs/celeba_conditional.py
    classes=10      semi-supervised: D learns classes too (`recipes.teach`), of 10 labels of each class, or of
                    as many in all as --config.num_labels says, or with -1 of all that there are; images
                    without a label are in a folder unlabelled, or have the label -1
    width=64        networks of twice the width, for many images and a GPU

The game is the small recipe's for the kind of images, with classes without its r1 and with mixup, of signs
and strokes with consistency; the networks are its for their size (see `recipes`).

Measured with classes (experiments/reports/own_images.md): `32,mirrored` with 4,000 labels of CIFAR-10 an
error of 27.8 % after 4,000 steps, and reconstructions and samples that are much worse than without classes;
`32,signs` with 1,000 labels of SVHN one of 6.9 % after 4,000 steps, 3 seeds, and reconstructions that keep 61
% of the digits; `28,grey,strokes` with 100 labels of MNIST one of 1.6 % after 4,000 steps, and
reconstructions that keep 88 % of the digits.
"""

from pathlib import Path

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.errors import UserError

SMALLEST = 8
KINDS = tuple(kind for kind in recipes.KINDS if kind != "any")
PLAIN = ("grey", *KINDS)
COUNTED = ("attributes", "classes", "width")  # with a number behind


def get_config(variant: str = "64"):
    side, options = _read(variant)
    name = "celeba_conditional" if "attributes" in options else "celeba"
    config = config_lib.load(Path(__file__).with_name(f"{name}.py"))
    config.dataset = ""  # yours
    config.train_split = "train[:90%]"
    config.validation_split = "train[90%:]"
    config.batch_size = 100
    config.model.x_shape = (side, side, 1 if "grey" in options else 3)
    config.model.num_attributes = options.get("attributes", 0)
    width = options.get("width", recipes.WIDTH)
    kind = next((kind for kind in KINDS if kind in options), "any")
    config = recipes.vary(config, "small", small_steps=4_000, kind=kind, width=width)
    if "classes" in options:
        _teach(config, kind, width, options["classes"])
    return config


def _read(variant: str) -> tuple[int, dict[str, int]]:
    """ "64,grey,classes=10" -> (64, {"grey": 1, "classes": 10})."""
    side, *given = variant.split(",")
    options = {}
    for option in given:
        name, equals, number = option.partition("=")
        if name not in (COUNTED if equals else PLAIN) or (equals and not _counts(number)):
            raise _unread(variant)
        options[name] = int(number or 1)
    if not _counts(side):
        raise _unread(variant)
    if int(side) < SMALLEST:
        raise UserError(f"Images of side {side} are too small for convolutions; choose {SMALLEST} or more.")
    if options.get("classes") == 1:
        raise UserError(f"configs/images.py cannot read {variant!r}; a single class is none, leave it out.")
    if len(kinds := [kind for kind in KINDS if kind in options]) > 1:
        raise UserError(f"configs/images.py cannot read {variant!r}; choose one of {', '.join(kinds)}.")
    return int(side), options


def _counts(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def _unread(variant: str) -> UserError:
    known = ", ".join([*PLAIN, *(f"{name}=N" for name in COUNTED)])
    return UserError(
        f"configs/images.py cannot read {variant!r}; write the side of your images, as 32, 64 or 128, and "
        f"behind commas what of {known} is so."
    )


def _teach(config, kind: str, width: int, num_classes: int) -> None:
    """Lets D learn the classes, beside the recipe's terms but for r1, with half of every batch labelled.

    A penalty on D's slope is one on telling classes apart: with 1,000 labels of SVHN the error of validation
    images after 1,000 steps was 17.7 % with r1, and 12.5 % without.
    """
    terms, half = config.terms.to_dict(), config.batch_size // 2
    game = recipes.KINDS[kind].few_labels
    del terms["r1"]
    recipes.teach(config, game, kind, num_classes=num_classes, labelled=half, unlabelled=half, width=width)
    if "unary_x" in terms:  # a game of images, in which the few with labels would be half of the real ones
        terms["unary_x"] = terms["unary_x"] | {"unlabelled": True}
    config.terms = config_lib.as_terms(terms | config.terms.to_dict())
    config.test_split = ""
    config.num_labels = 10 * num_classes
