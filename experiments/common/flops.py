"""Floating-point operations of a training step, counted from its layers or in its program."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ali_jax import build, models, train
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.gradients import through_d_once
from ali_jax.run import devices
from ali_jax.terms import penalties


def of_step(config: ConfigDict) -> float:
    """FLOPs of a step's linear maps, two for each multiply-add.

    E and G run forward and get two gradients (of their kernels and of their inputs); D does so on two pairs
    for each example, and most have a second input gradient, for G and E. Counted are also
    gradients for x and z, which nobody needs: some per cent. Everything but convolutions, transposed
    convolutions and matrix products is left out, and so is what XLA may compute beyond the need (its own
    count, `cost_analysis()["flops"]`, includes zeros that a strided gradient multiplies).
    """
    forward, needs = forward_macs(config), build.needs_of_config(config)
    if not needs.generated:  # D alone, on real examples
        return 2.0 * 3 * forward["discriminator"] * config.batch_size
    of_d = 3 if through_d_once(models.build(config.model), needs) else 4
    macs = 3 * forward["encoder"] + 3 * forward["generator"] + 2 * of_d * forward["discriminator"]
    return 2.0 * macs * config.batch_size


def of_traced_step(config: ConfigDict) -> float:
    """FLOPs of the step's program before it is compiled, whatever its terms run beyond the game's one pass.

    By XLA's count, with elementwise operations and zeros that a strided gradient multiplies: for the paper's
    game, a few per cent more than `of_step`. A branch that is taken now and then counts as if always.
    The CPU's program is counted, on every machine, as XLA gives no such count for a GPU's.

    Raises:
      UserError: JAX was told to leave the CPU out.
    """
    config = config.copy_and_resolve_references()
    config.steps_per_dispatch = 1
    game, mesh = build.game(config), devices.make_mesh([_cpu()])
    traced = train.trace(train.compiled_steps(game, mesh), config, game, game.example, mesh)
    return float(traced.lower().cost_analysis()["flops"])


def _cpu() -> jax.Device:
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        asked = jax.config.jax_platforms  # JAX_PLATFORMS, or what a program set in its place
        raise UserError(
            f"FLOPs are counted on the CPU, which JAX_PLATFORMS={asked} leaves out; set it to {asked},cpu."
        ) from None


def of_average_step(config: ConfigDict) -> float:
    """`of_traced_step`, in which a penalty of every so many steps counts by its share of them."""
    terms = config.terms.to_dict()
    seldom = penalties.seldom(terms)
    always = {name: settings for name, settings in terms.items() if name not in seldom}

    def with_term(name: str) -> float:
        return of_traced_step(config_lib.of_terms(config, always | {name: terms[name] | {"every": 1}}))

    plain = of_traced_step(config_lib.of_terms(config, always))
    return plain + sum((with_term(name) - plain) / every for name, every in seldom.items())


def forward_macs(config: ConfigDict) -> dict[str, float]:
    """Multiply-adds of one example through each network."""
    game = build.game(config)
    networks, state, batch = game.networks, game.shapes, game.example
    packing = models.packing_of(networks.discriminator)
    z = jax.ShapeDtypeStruct((1, config.model.latent_dim), jnp.float32)
    y = batch.get("attributes")
    of_pack = (a and jax.ShapeDtypeStruct((packing, *a.shape[1:]), a.dtype) for a in (batch["x"], z, y))
    inputs = {"generator": (z, y), "discriminator": of_pack}
    if networks.encoder is not None:
        noise = jax.ShapeDtypeStruct((1, networks.encoder.noise_dim), jnp.float32)
        inputs["encoder"] = (batch["x"], noise, y)
    counted = {
        role: _macs(*(getattr(of, role) for of in (networks, state.params, state.batch_stats)), arguments)
        for role, arguments in inputs.items()
    }
    counted["discriminator"] /= packing
    return {"encoder": 0.0, **counted}  # a plain GAN has none


def _macs(module, params, batch_stats, inputs) -> float:
    apply = functools.partial(module.apply, mutable=["intermediates"])
    variables = {"params": params, "batch_stats": batch_stats}
    _, sown = jax.eval_shape(apply, variables, *inputs)
    total = 0.0
    for name in sown["intermediates"]:  # of the stacks that ran, by layer
        for number, row in enumerate(getattr(module, name).rows, 1):
            kernel = params[name].get(f"layer_{number}", {}).get("kernel")
            if kernel is None:
                continue
            output = sown["intermediates"][name][f"layer_{number}"]["output"][0].shape
            total += layer_macs(row, kernel.shape, output)
    return total


def layer_macs(row: models.Row, kernel: tuple[int, ...], output: tuple[int, ...]) -> float:
    """Multiply-adds of one example through a layer, from the shapes of its kernel and its output (N, ...)."""
    # A transposed convolution applies its kernel once for each pixel of its input.
    pixels = np.prod(output[1:-1])
    if row.operation == "transposed":
        pixels = ((output[1] - row.kernel) // row.stride + 1) ** 2
    return float(np.prod(kernel) * pixels)
