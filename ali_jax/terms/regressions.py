"""Terms that ask E and G to be each other's inverse, by a distance rather than through D."""

import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models import Encoding
from ali_jax.ranges import SETTINGS, require
from ali_jax.terms.game import Players, Round, Share
from ali_jax.terms.needs import needs


@needs(encoder=True)
def latent_regression(
    round: Round, players: Players, key: jax.Array, *, weight: float = 1.0, generator: bool = True
) -> Share:
    """-log q(z | G(z)), a mean over dimensions: E shall find the z that an image was made of.

    As in InfoGAN (Chen et al., 2016) and VEEGAN (Srivastava et al., 2017); ALICE's explicit cycle in z (Li et
    al., 2017). Of an E without sigma, half the squared distance.

    Args:
      generator: whether G learns from it too, to make images that z can be read off.
    """
    x_tilde = round.x_tilde if generator else jax.lax.stop_gradient(round.x_tilde)
    return Share(ge=weight * negative_log_density(round.z, players.encode(x_tilde, key)))


def negative_log_density(z: jax.Array, encoding: Encoding) -> jax.Array:
    """-log q(z | x) of codes z (M, n), without its constant log(2 pi) / 2, a mean over both axes.

    Where E has no sigma, as if sigma were 1; an implicit E is taken at its draw.
    """
    if encoding.sigma is None:
        return jnp.mean(jnp.square(z - encoding.z)) / 2
    deviations = (z - encoding.mu) / encoding.sigma
    return jnp.mean(jnp.square(deviations) / 2 + jnp.log(encoding.sigma))


@needs(encoder=True)
def cycle(
    round: Round,
    players: Players,
    key: jax.Array,
    *,
    weight: float = 0.3,
    power: int = 2,
    draw: bool = True,
    generator: bool = True,
) -> Share:
    """Distance of x from its reconstruction: the explicit cycle in x of ALICE (Li et al., 2017).

    The sum of |x - G(E(x))|^power over the N values of x, divided by the root of N: neither large images nor
    small ones drown the game.

    Args:
      power: 2 (squares) or 1 (absolute values).
      draw: through the round's draw from q(z | x); else through mu.
      generator: whether G learns from it too.
    """
    require("The setting power of the term cycle of config.terms", power, SETTINGS["power"])
    x_hat = players.generate(code(round.encoding, draw), frozen=not generator)
    of_each = jnp.sum(jnp.abs(round.x - x_hat).reshape(len(x_hat), -1) ** power, axis=1)
    return Share(ge=weight * jnp.mean(of_each) / jnp.sqrt(round.x[0].size))


def code(encoding: Encoding, draw: bool) -> jax.Array:
    """The draw, or mu, of an encoding: (M, n).

    Raises:
      UserError: mu is wanted of an implicit encoder, which has none.
    """
    if not draw and encoding.mu is None:
        raise UserError(
            "A term of config.terms has draw = False, but with config.model.posterior = 'noise' there is "
            "no mu; set draw = True."
        )
    return encoding.z if draw else encoding.mu
