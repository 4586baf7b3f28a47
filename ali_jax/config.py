"""What every config holds, with its default, and the checks that need no data."""

import importlib.util
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict, config_dict

from ali_jax import data, disturbance, ranges
from ali_jax.augmentation import CHANGES
from ali_jax.errors import UserError, require_known, telling_where
from ali_jax.models.rows import Row
from ali_jax.paths import local

PACKAGE = Path(__file__).parent
# Beside the package in a checkout, inside it where it was installed.
CONFIGS = next((p for p in (PACKAGE.parent / "configs", PACKAGE / "configs") if p.is_dir()), PACKAGE)


def default() -> ConfigDict:
    """The fields that all configs share; a config adds `dataset`, splits, `num_steps` and `model`."""
    config = ConfigDict()
    config.seed = 0  # of parameters, noise, dropout and the order of the data

    config.dataset = ""  # a name that `data.load` knows, or images:FOLDER or arrays:FILE
    config.train_split = ""
    config.validation_split = ""  # figures reconstruct its first images
    config.test_split = ""  # read only to measure the error of a classifier
    config.classes = ()  # of the labels: the examples of these alone, of every split; (): of all
    config.data_dir = config_dict.placeholder(str)  # None: where tensorflow_datasets keeps its own

    # Of images of the user's own, which are brought to config.model.x_shape; see `data.Frame`.
    config.images = ConfigDict({"fit": "crop", "zoom": 1.0, "unreadable": 0.01})

    config.batch_size = 100  # over all devices of all processes
    config.num_steps = 0
    config.dtype = "float32"  # of the computation; "bfloat16" keeps parameters and statistics float32
    # Optimised steps in one call of the device; above 1 pays where a step takes a few milliseconds.
    config.steps_per_dispatch = 1

    # Adam for all three networks. The paper's "beta2 = 1e-3" is the weight of the NEW gradient, in the
    # convention of its library at the time: today's b2 = 0.999 (and 0.5 is 0.5 either way).
    config.learning_rate = 1e-4
    config.rate_of = ConfigDict({"generator": 1.0, "encoder": 1.0, "discriminator": 1.0})  # times it, by role
    config.b1 = 0.5
    config.b2 = 0.999

    # The rate falls linearly to 0 over what is left of num_steps after this share of them; 1.0: never.
    config.decay_after = 1.0
    # G learns no more after this share of num_steps, while E and D play on ("learned later", Section 4.5).
    config.freeze_generator_after = 1.0
    config.weight_decay = 0.0  # this times each kernel is added to its gradient (L2), before Adam
    config.average_rate = 0.0  # of an average of the parameters over steps, used instead of them; 0: none

    config.terms = as_terms({"adversarial": {}})  # term -> settings; see `ali_jax.terms`
    # What is done to all pairs (x, z) before D sees them: nothing. What there is: `disturbance.NOTHING`.
    config.disturbance = ConfigDict(disturbance.NOTHING)

    config.num_labels = 0  # labels that training sees, as many of each class; -1: all that are known
    config.label_seed = 0  # which ones
    config.labelled_batch_size = 0  # of the batch_size examples, those with a label

    config.log_every = 100  # steps
    config.figures_every = 1000  # and, with labels, the error of the classifier
    config.checkpoint_every = 1000
    config.keep_checkpoints = 3  # the latest ones

    config.model = ConfigDict()  # see `models.build`
    config.model.prior = "normal"  # of z; "uniform" is over [-1, 1]
    config.model.num_attributes = 0  # above 0: the networks are conditional on as many
    config.model.spectral_norm = ()  # names of stacks, as "discriminator_x", to be spectrally normalised
    config.model.weight_norm = ()  # likewise, to be weight normalised, D and E with a start on data
    config.model.plain_norm = ()  # likewise, whose batch normalisation has no scale and no shift
    config.model.norm_by_kind = ()  # likewise, of D, which normalise real and generated pairs apart
    config.model.packing = 1  # pairs that D judges together
    return config


def as_terms(terms: Mapping[str, Mapping[str, Any]]) -> ConfigDict:
    """A value for config.terms, where a name may hold dots, as "my_package.terms:pull" does."""
    return ConfigDict(terms, allow_dotted_keys=True)


def check(config: ConfigDict) -> None:
    """Raises UserError, naming the field, for a value that no run can use; see `ranges`."""
    usual = default()
    _check_kinds(config, usual)
    for part in ("rate_of", "disturbance", "images"):
        if missing := sorted({*usual[part]} - {*config[part]}):
            raise UserError(
                f"config.{part} has no {missing[0]}, as a mapping takes the place of all of it; set single "
                f"fields, such as config.{part}.{missing[0]}."
            )
        require_known(config[part], usual[part], f"config.{part}.")
    ranges.check(config.to_dict())
    shape = config.model.get("x_shape")
    for field in CHANGES:
        # What is no shape at all, or missing, `models.build` says.
        if config.disturbance[field] and isinstance(shape, tuple | list) and len(shape) != 3:
            raise UserError(
                f"config.disturbance.{field} is of images, and {config.dataset} holds none; set it to 0."
            )
    if config.disturbance.noise_z and config.model.get("encoder") is None:
        raise UserError("config.disturbance.noise_z is of codes, and a plain GAN has none; set it to 0.")
    for field, value in usual.images.items():
        if config.images[field] != value and config.dataset.partition(":")[0] not in data.OWN:
            raise UserError(
                f"config.images.{field} is of images of your own, and config.dataset is {config.dataset}; "
                "leave it out, or pass --config.dataset=images:FOLDER or arrays:FILE."
            )


def _check_kinds(config: ConfigDict, usual: ConfigDict) -> None:
    """Raises UserError for a field that there is not, or a mapping, text or tuple that is none."""
    require_known(config, usual, "config.")
    kinds = {"a mapping": ConfigDict, "text": str, "a tuple": tuple | list}
    for name, value in usual.items():
        for words, kind in kinds.items():
            if isinstance(value, kind) and not isinstance(config.get(name), kind):
                raise UserError(f"config.{name} is {config.get(name)!r}; it must be {words}.")


def plans_ahead(config: ConfigDict) -> bool:
    """Whether something falls over the run, so that with another num_steps every step would be another."""
    noisy = config.disturbance.noise_x or config.disturbance.noise_z
    return bool(config.decay_after < 1 or config.freeze_generator_after < 1 or noisy)


def num_logits(config: ConfigDict) -> int:
    """Width of D's last layer: 1, or the number of classes."""
    return Row(*config.model.discriminator_joint[-1]).features


def of_seed(config: ConfigDict, seed: int) -> ConfigDict:
    """A copy of the config, with this seed."""
    config = config.copy_and_resolve_references()
    config.seed = seed
    return config


def of_terms(config: ConfigDict, terms: Mapping[str, Mapping[str, Any]]) -> ConfigDict:
    """A copy of the config, with the game of these terms."""
    config = config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        config.terms = as_terms(terms)
    return config


def load(path: Path | str, *variant: str) -> ConfigDict:
    """get_config(*variant) of a config's file: to run it, or to build another config on it.

    Args:
      path: what --config= takes, see `find`.
      variant: where it does not stand behind the colon of the path.

    Raises:
      UserError: there is no such config, it has no such variant, or it has a mistake in it.
    """
    file, named = find(path)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    with telling_where(module.__file__):
        spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise UserError(f"{file} has no function get_config; pass the path of a config, as in {CONFIGS}.")
    asked = (*named, *variant)
    try:
        inspect.signature(module.get_config).bind(*asked)
    except TypeError as error:
        raise UserError(
            f"get_config of {file} does not take the variant {', '.join(asked) or '(none)'} ({error}); "
            "name one that it has, or none."
        ) from None
    with telling_where(module.__file__):
        config = module.get_config(*asked)
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"get_config of {file} gave {type(config).__name__}; return a config begun with "
            "ali_jax.config.default()."
        )
    return config


def with_path(named: str) -> str:
    """ "svhn:small", a config of ours that is named alone, with its path; anything else as it is."""
    ours = re.fullmatch(r"(\w+)((?::.*)?)", named)
    return f"{CONFIGS / ours[1]}.py{ours[2]}" if ours else named


def find(path: Path | str) -> tuple[Path, tuple[str, ...]]:
    """The file of a config, and its variant where one stands behind a colon: "configs/svhn.py:small".

    One of ours is also named alone, "svhn:small"; see `with_path`.

    Raises:
      UserError: it is no Python file, or there is none.
    """
    named = re.fullmatch(r"(.*\.py)(?::(.*))?", with_path(str(path)))
    if named is None:
        raise UserError(f"The config {path} is no Python file; pass the path of one, as in {CONFIGS}.")
    file = local(named[1], "The config")
    if not file.is_file():
        raise UserError(f"There is no config {file}; pass the path of one, as in {CONFIGS}.")
    return file, () if named[2] is None else (named[2],)


# Games in which few examples have labels, by the name behind a config's colon: `make_semi_supervised`.
_LABELS = {"labels": {}}
_ALI = _LABELS | {"adversarial": {"unlabelled": True}}
SEMI_SUPERVISED = {
    "ali": _ALI,
    "ali_mixup": _ALI | {"mixup": {}},
    "ali_consistency": _ALI | {"consistency": {}},
    "feature_matching": _LABELS | {"adversarial": {"unlabelled": True, "ge": 0.0}, "feature_matching": {}},
    "mixup": _LABELS | {"mixup": {}},
    "consistency": _LABELS | {"consistency": {}},
    "supervised": _LABELS,
}
OF_PAIRS = ("ali", "ali_mixup", "ali_consistency")  # of these, the ones with an encoder


def make_semi_supervised(
    config: ConfigDict, game: str, *, num_classes: int, labelled: int, unlabelled: int
) -> None:
    """Changes a config of ALI into the semi-supervised game, with a logit for each class and a test split.

    Args:
      config: its model ends D in one logit.
      game: of SEMI_SUPERVISED. "ali", the paper's; "ali_mixup" and "ali_consistency", ours, with that term
        too; or a baseline, in which there is no encoder and D looks at x alone: "feature_matching"; "mixup"
        and "consistency", without G; "supervised", where D learns from the labelled examples and nothing
        else.
      num_classes: of the labels.
      labelled: examples of a batch with a label.
      unlabelled: examples of a batch without.
    """
    config.terms = as_terms(reading(game, **SEMI_SUPERVISED))
    config.test_split = "test"
    config.labelled_batch_size = labelled
    config.batch_size = labelled + (unlabelled if game != "supervised" else 0)
    *hidden, head = config.model.discriminator_joint
    config.model.discriminator_joint = (*hidden, Row(*head)._replace(features=num_classes))
    if game not in OF_PAIRS:
        with config.model.ignore_type():
            config.model.encoder = config.model.discriminator_z = None


# Variants of the paper's configs that are not the paper's; see `recipes`. Where readings of the paper differ,
# they build on the recommended one.
OURS = ("recipe", "small")


def reading(name: str, **values):
    """values[name]: what a config does in the variant behind its colon (configs/cifar10.py:paper)."""
    known = dict.fromkeys((*values, *(OURS if "recommended" in values else ())))
    if name not in known:
        raise UserError(
            f"The config knows no variant {name!r}; after its colon write one of {', '.join(known)}."
        )
    return values[name] if name in values else values["recommended"]
