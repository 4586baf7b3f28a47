"""What is done to pairs before D sees them, to real and to generated ones alike.

A `Disturb` is a function (key, step, x, z) -> (x, z) for `train_step`; `build.game` makes one of what
config.disturbance says. G and E learn through it. Nothing of it is done when a trained model is used.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from ali_jax import augmentation
from ali_jax.errors import UserError, require_known

# (key, step, x (N, ...), z (N, n) or None) -> (x, z)
Disturb = Callable[[jax.Array, jax.Array, jax.Array, jax.Array | None], tuple[jax.Array, jax.Array | None]]

# The settings that there are, config.disturbance, and what they are by default.
NOTHING = {
    "noise_x": 0.0,  # standard deviation of Gaussian noise on x at the first step ...
    "noise_z": 0.0,  # ... and on z,
    "noise_until": 0.5,  # which fall to 0 at this share of num_steps
    "translation": 0.0,  # share of an image's side; 1/8 is usual
    "cutout": 0.0,  # share of an image's side; 1/2 is usual
    "colour": 0.0,  # strength; 1 is usual
    "mirror": 0.0,  # share of the images; 1/2 is usual
    "negative": 0.0,  # share of the images, dark and light exchanged; 1/2 is usual
    "zoom": 0.0,  # most that is cut off, a share of an image's side
    "shear": 0.0,  # steepest slope
}


def of_settings(settings: Mapping[str, float], num_steps: int) -> Disturb | None:
    """The disturbance of config.disturbance, where any of it is not 0; see `NOTHING`.

    Raises:
      UserError: there is no setting of a name. One that is left out is as it is by default.
    """
    require_known(settings, NOTHING, "disturbance.")
    settings = NOTHING | dict(settings)
    noise_steps = settings["noise_until"] * num_steps
    augmentations = [
        (getattr(augmentation, change), settings[change])
        for change in augmentation.CHANGES
        if settings[change]
    ]
    if not augmentations and not (settings["noise_x"] or settings["noise_z"]):
        return None

    def disturb(key: jax.Array, step: jax.Array, x: jax.Array, z: jax.Array | None):
        if augmentations and x.ndim != 4:
            made = " and ".join(change for change in augmentation.CHANGES if settings[change])
            raise UserError(f"The disturbance {made} is of images, and x is {x.shape}; leave it out.")
        *keys, key_x, key_z = jax.random.split(key, len(augmentation.CHANGES) + 2)
        for number, (augment, strength) in enumerate(augmentations):
            x = augment(keys[number], x, strength)
        x = falling_noise(key_x, x, step, settings["noise_x"], noise_steps)
        return x, None if z is None else falling_noise(key_z, z, step, settings["noise_z"], noise_steps)

    return disturb


def falling_noise(key: jax.Array, h: jax.Array, step: jax.Array, start: float, steps: float) -> jax.Array:
    """h with Gaussian noise, of standard deviation `start` at step 0, falling linearly to 0 at step `steps`.

    Instance noise (Sonderby et al., 2017; Arjovsky & Bottou, 2017): until G and E have learned something,
    real and generated pairs have nothing in common, and D tells them apart without teaching how.
    """
    if not start:
        return h
    std = start * jnp.maximum(1 - step / steps, 0)
    # Draws that would be multiplied by 0 are not made.
    noise = jax.lax.cond(
        std > 0, lambda: jax.random.normal(key, h.shape, h.dtype), lambda: jnp.zeros(h.shape, h.dtype)
    )
    return h + std.astype(h.dtype) * noise
