"""A run of seconds: dense networks for 8x8 images, batch normalisation and dropout in D."""

import numpy as np

from ali_jax import data
from ali_jax.config import as_terms
from configs import digits


def noise(split: str, data_dir: str | None) -> data.Split:
    """8x8 images of random pixels."""
    x = np.random.default_rng(len(split)).integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    return data.Split(x, None, None)


data.SETS["noise"] = noise


def get_config(variant: str = "digits"):
    """The paper's game on digits; or on "noise", with more terms, a falling rate and an average.

    The latter is for processes of their own: to import scikit-learn for its digits would take them a second.
    """
    config = digits.get_config("paper")
    config.dataset = variant
    if variant == "noise":
        config.terms = as_terms({"adversarial": {}, "cycle": {}, "r1": {"every": 4}})
        config.decay_after, config.average_rate = 0.5, 0.1
    config.batch_size = 16
    config.num_steps = 12
    config.steps_per_dispatch = 1
    config.log_every = 2
    config.figures_every = 6
    config.checkpoint_every = 4
    config.model.latent_dim = 3
    config.model.encoder = (
        ("dense", 1, 1, 12, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 6, False, 0.0, "linear", "tied"),
    )
    config.model.generator = (
        ("dense", 1, 1, 12, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 64, False, 0.0, "sigmoid", "untied"),
    )
    config.model.discriminator_x = (("dense", 1, 1, 12, True, 0.2, "leaky_relu"),)
    config.model.discriminator_z = (("dense", 1, 1, 12, False, 0.2, "maxout2", "tied"),)
    config.model.discriminator_joint = (("dense", 1, 1, 1, False, 0.2, "linear", "tied"),)
    return config
