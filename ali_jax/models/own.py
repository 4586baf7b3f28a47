"""Whether networks of one's own have, and give, what the game asks of them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax.errors import FlaxError

from ali_jax.errors import UserError, first_line
from ali_jax.models.discriminator import Discriminator, packing_of
from ali_jax.models.networks import Encoder, Generator
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


@contextlib.contextmanager
def telling_misfits(networks: Roles) -> Iterator[None]:
    """What the first operation that cannot be done raises, as a UserError."""
    try:
        yield
    except UserError:
        raise
    except (AttributeError, FlaxError, IndexError, TypeError, ValueError) as error:
        raise UserError(
            "The rows of config.model do not fit each other, its x_shape or its latent_dim "
            f"({first_line(error)}); compare them with the config they come from."
            if _all_from_rows(networks)
            else f"The networks cannot be run as a step runs them ({first_line(error)}); see "
            'docs/extending.md, "Networks of your own".'
        ) from error


def _all_from_rows(networks: Roles) -> bool:
    return {*map(type, networks)} <= {Generator, Encoder, Discriminator, type(None)}


def check_outputs(
    networks: Roles, params: Roles, batch_stats: Roles, x: jax.Array, attributes: jax.Array | None
) -> None:
    """Raises UserError where a network gives something else than the game goes on with.

    Only shapes are worked out. Networks from rows are known to fit.
    """
    if _all_from_rows(networks):
        return

    count = 2 * packing_of(networks.discriminator)  # a round's, of the fewest examples that make packs

    def like(array: jax.Array) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((count, *array.shape[1:]), array.dtype)

    def outputs(role: str, *inputs: Any, **rngs: jax.Array) -> Any:
        def run(condition, *inputs):
            options = {"train": True, "mutable": ["batch_stats"], "rngs": rngs}
            network = getattr(networks, role)
            return network.apply(variables(params, batch_stats, role), *inputs, condition, **options)[0]

        return jax.eval_shape(run, None if attributes is None else like(attributes), *inputs)

    x, z = like(x), jax.ShapeDtypeStruct((count, networks.generator.latent_dim), jnp.float32)
    made = outputs("generator", z)
    _require("generator", networks.generator, made, made, x.shape, f"x {x.shape}")
    if networks.encoder is not None:
        noise = jax.ShapeDtypeStruct((count, networks.encoder.noise_dim), jnp.float32)
        made = outputs("encoder", x, noise)
        wanted = f"an Encoding whose z is {z.shape}"
        _require("encoder", networks.encoder, made, getattr(made, "z", None), z.shape, wanted)
    made, packs = outputs("discriminator", x, z, dropout=jax.random.key(0)), (2,)
    wanted = f"a judgement(...) whose score is {packs}"
    _require("discriminator", networks.discriminator, made, getattr(made, "score", None), packs, wanted)


def _require(role: str, network: Any, made: Any, part: Any, shape: tuple[int, ...], wanted: str) -> None:
    if getattr(part, "shape", None) == shape:
        return
    shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(made))
    raise UserError(
        f"Of {shape[0]} examples the {role} {type(network).__name__} gives {type(made).__name__} of "
        f"{shapes}; it must give {wanted}."
    )
