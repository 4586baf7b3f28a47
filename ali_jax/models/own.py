"""Whether networks of one's own have, and give, what the game asks of them."""

from typing import Any

import jax
import jax.numpy as jnp

from ali_jax.errors import UserError
from ali_jax.models.networks import Discriminator, Encoder, Encoding, Generator, Judgement, packing_of
from ali_jax.roles import Roles, variables

# Beside `init` and `apply`, which every module of Flax has.
ATTRIBUTES = Roles(
    generator=("latent_dim", "sample_prior", "start_at_mean"), encoder=("noise_dim",), discriminator=()
)


def check_attributes(networks: Roles) -> None:
    """Raises UserError where a network lacks an attribute or a method that every game uses."""
    for role, network, names in zip(Roles._fields, networks, ATTRIBUTES, strict=True):
        for name in names if network is not None else ():
            if not hasattr(network, name):
                raise UserError(
                    f"The {role} {type(network).__name__} has no {name}; add it (docs/extending.md, "
                    '"Networks of your own").'
                )


def check_outputs(
    networks: Roles, params: Roles, batch_stats: Roles, x: jax.Array, attributes: jax.Array | None
) -> None:
    """Raises UserError where a network gives something else than the game goes on with.

    Only shapes are worked out. Networks from rows are known to fit.
    """
    if {*map(type, networks)} <= {Generator, Encoder, Discriminator, type(None)}:
        return

    def outputs(role: str, *inputs: Any):
        network = getattr(networks, role)
        options = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": jax.random.key(0)}}
        return network.apply(variables(params, batch_stats, role), *inputs, **options)[0]

    count, latent_dim = len(x), networks.generator.latent_dim
    z = jnp.zeros((count, latent_dim))
    made = jax.eval_shape(lambda: outputs("generator", z, attributes))
    _require("generator", networks.generator, made, getattr(made, "shape", None) == x.shape, f"x {x.shape}")
    if networks.encoder is not None:
        noise = jnp.zeros((count, networks.encoder.noise_dim))
        made = jax.eval_shape(lambda: outputs("encoder", x, noise, attributes))
        fits = isinstance(made, Encoding) and made.z.shape == z.shape
        _require("encoder", networks.encoder, made, fits, f"an Encoding whose z is {z.shape}")
    made = jax.eval_shape(lambda: outputs("discriminator", x, z, attributes))
    packs = (count // packing_of(networks.discriminator),)
    fits = isinstance(made, Judgement) and made.score.shape == packs
    _require("discriminator", networks.discriminator, made, fits, f"a judgement(...) whose score is {packs}")


def _require(role: str, network: Any, made: Any, fits: bool, wanted: str) -> None:
    if fits:
        return
    shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(made))
    raise UserError(
        f"The {role} {type(network).__name__} gives {type(made).__name__} of {shapes}; it must give {wanted}."
    )
