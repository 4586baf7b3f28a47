"""What is done to pairs before D sees them, to real and to generated ones alike.

A `Disturb` is a function (key, step, x, z) -> (x, z) for `train_step`; `build.game` makes one of what
config.disturbance says. G and E learn through it. Nothing of it is done when a trained model is used.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from ali_jax import augmentation, config
from ali_jax.errors import require_known

# (key, step, x (N, ...), z (N, n) or None) -> (x, z)
Disturb = Callable[[jax.Array, jax.Array, jax.Array, jax.Array | None], tuple[jax.Array, jax.Array | None]]


def of_settings(settings: Mapping[str, float], num_steps: int) -> Disturb | None:
    """The disturbance of config.disturbance, where any of it is not 0; see `config.default`.

    Raises:
      UserError: there is no setting of a name. One that is left out is as it is by default.
    """
    by_default = config.default().disturbance.to_dict()
    require_known(settings, by_default, "disturbance.")
    settings = by_default | dict(settings)
    noise_steps = settings["noise_until"] * num_steps
    augmentations = [
        (getattr(augmentation, change), settings[change])
        for change in augmentation.CHANGES
        if settings[change]
    ]
    if not augmentations and not (settings["noise_x"] or settings["noise_z"]):
        return None

    def disturb(key: jax.Array, step: jax.Array, x: jax.Array, z: jax.Array | None):
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
