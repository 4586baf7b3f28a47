"""Twins against look-alikes: (x, x) against (x, G(E(x))), and (z, z) against (z, E(G(z)))."""

import jax
import jax.numpy as jnp

from ali_jax.terms.game import Comparison, Players, Round, Share
from ali_jax.terms.needs import needs
from ali_jax.terms.pairs import discriminator_loss, generator_encoder_loss
from ali_jax.terms.regressions import code


@needs(encoder=True, heads=("xx",))
def adversarial_cycle_x(
    round: Round, players: Players, key: jax.Array, *, weight: float = 1.0, draw: bool = True
) -> Share:
    """D_xx tells (x, x) from (x, G(E(x))) (ALICE, Li et al., 2017, Section 3.2; ALAD, Zenati et al., 2018).

    Args:
      weight: of both shares.
      draw: whether G sees the round's draw from q(z|x), or mu(x).
    """
    x_hat = players.generate(code(round.encoding, draw))
    return _share("xx", players.compare("xx", round.x, x_hat, key), weight)


@needs(encoder=True, heads=("zz",))
def adversarial_cycle_z(
    round: Round, players: Players, key: jax.Array, *, weight: float = 1.0, draw: bool = True
) -> Share:
    """D_zz tells (z, z) from (z, E(G(z))) (ALICE, Li et al., 2017; ALAD, Zenati et al., 2018).

    Args:
      weight: of both shares.
      draw: whether E(G(z)) is a draw from q(z|x), or mu.
    """
    key_noise, key_dropout = jax.random.split(key)
    z_again = code(players.encode(round.x_tilde, key_noise), draw)
    return _share("zz", players.compare("zz", round.z, z_again, key_dropout), weight)


def _share(twins: str, compared: Comparison, weight: float) -> Share:
    s_real, s_generated = compared.real.score, compared.generated.score
    return Share(
        d=weight * discriminator_loss(s_real, s_generated),
        ge=weight * generator_encoder_loss(s_real, s_generated),
        metrics={
            f"D_{twins}_real": jnp.mean(jax.nn.sigmoid(s_real)),
            f"D_{twins}_generated": jnp.mean(jax.nn.sigmoid(s_generated)),
        },
        batch_stats=compared.batch_stats,
    )
