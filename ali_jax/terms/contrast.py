"""Terms that ask for codes by which an image is told from others, in a changed copy or its reconstruction."""

import jax
import jax.numpy as jnp

from ali_jax import augmentation
from ali_jax.errors import UserError
from ali_jax.terms.game import Players, Round, Share
from ali_jax.terms.needs import needs
from ali_jax.terms.regressions import code


@needs(encoder=True)
def contrast(
    round: Round,
    players: Players,
    key: jax.Array,
    *,
    weight: float = 1.0,
    temperature: float = 0.5,
    share: float = 1.0,
    translation: float = 1 / 8,
    colour: float = 0.0,
    cutout: float = 0.0,
    zoom: float = 0.0,
    mirror: float = 0.0,
    noise: float = 0.0,
    shear: float = 0.0,
    negative: float = 0.0,
) -> Share:
    """-log of the chance to find an image's code, among those of the batch, from a changed copy of it.

    InfoNCE (van den Oord et al., 2018) as in SimCLR (Chen et al., 2020), for E alone. Codes are drawn from
    the prior and not on a sphere, so they are compared by their squared distance, over the root of their
    number of dimensions. What the changes leave alone, as the class, comes to tell codes apart more than what
    they alter, as the place; both stay in the code where a cycle needs them.

    Args:
      temperature: what distances are divided by; the smaller, the more the nearest codes matter.
      share: of a code's dimensions, the first of them, that is compared (ours; at least one is). The others
        are left to what the changes alter, and reconstructions and neighbours of whole codes gain.
      translation, colour, cutout, zoom, mirror, noise, shear, negative: the changes; see the functions of
        `augmentation`.
    """
    key_copy, key_encode = jax.random.split(key)
    strengths = {"translation": translation, "colour": colour, "cutout": cutout}
    strengths |= {"zoom": zoom, "mirror": mirror, "noise": noise}
    strengths |= {"shear": shear, "negative": negative}
    copy = changed(key_copy, round.x, **strengths)
    z, z_copy = (_first(share, e) for e in (round.encoding, players.encode(copy, key_encode)))
    return Share(ge=-weight * jnp.mean(log_chances_of_a_match(z, z_copy, temperature)))


@needs(encoder=True)
def recognition(
    round: Round,
    players: Players,
    key: jax.Array,
    *,
    weight: float = 1.0,
    temperature: float = 1.0,
    draw: bool = True,
) -> Share:
    """-log of the chance to find an example's code, among those of the batch, from its reconstruction.

    Ours: the learned similarity of Larsen et al. (2016, there of D's features) measured by E, as in
    `contrast`. The E that encodes the reconstruction, and the code that is looked for, are held fixed;
    gradients reach G, and E through the code that G decodes. So reconstructions keep the features by which E
    tells examples apart, where a distance of pixels is least for their mean.

    Args:
      temperature: as in `contrast`.
      draw: through the round's draw from q(z | x); else through mu.
    """
    x_hat = players.generate(code(round.encoding, draw))
    again = players.encode(x_hat, key, frozen=True)
    sought = jax.lax.stop_gradient(_place(round.encoding))
    return Share(ge=-weight * jnp.mean(log_chances_of_a_match(sought, _place(again), temperature)))


def changed(key: jax.Array, x: jax.Array, **strengths: float) -> jax.Array:
    """Images (N, H, W, C), each changed at random by the functions of `augmentation` with these names.

    Raises:
      UserError: x are no images, or no change is made.
    """
    made = {name: strength for name, strength in strengths.items() if strength}
    if not made or x.ndim != 4:
        raise UserError(
            f"The term contrast of config.terms changes images by one of {', '.join(strengths)}; "
            + ("set one of them above 0." if not made else "the examples of this config are no images.")
        )
    for subkey, (name, strength) in zip(jax.random.split(key, len(made)), made.items(), strict=True):
        x = getattr(augmentation, name)(subkey, x, strength)
    return x


def log_chances_of_a_match(z: jax.Array, z_copy: jax.Array, temperature: float) -> jax.Array:
    """(N,): log of the softmax over all codes z (N, n) of minus their distances from a copy's, at its own."""
    products = jnp.einsum("in,jn->ij", z_copy, z, precision="highest")
    squares = jnp.sum(jnp.square(z_copy), axis=1)[:, None] + jnp.sum(jnp.square(z), axis=1)[None]
    distances = (squares - 2 * products) / jnp.sqrt(z.shape[1])
    return jnp.diagonal(jax.nn.log_softmax(-distances / temperature, axis=1))


def _place(encoding) -> jax.Array:
    """mu, or the draw of an implicit E, which has no mu."""
    return encoding.z if encoding.mu is None else encoding.mu


def _first(share: float, encoding) -> jax.Array:
    """The first dimensions of `_place`, a share of them and at least one."""
    place = _place(encoding)
    return place[:, : max(1, round(share * place.shape[1]))]
