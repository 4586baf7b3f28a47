"""The layers of a config's networks, each with what it sees in a step."""

from typing import NamedTuple

import flax.linen as nn
import jax
from ml_collections import ConfigDict

from ali_jax import build
from ali_jax.gradients import through_d_once
from ali_jax.models import Discriminator, Encoder, Generator
from ali_jax.models.layers import Layer
from ali_jax.players import BoundNetworks
from ali_jax.rounds import ForwardPass
from experiments.common import flops

NETWORKS = {Encoder: "E", Generator: "G", Discriminator: "D"}
WORDS = {"convolution": "conv", "transposed": "transposed conv"}


class Seen(NamedTuple):
    """A layer, and how a step calls it."""

    network: str  # of NETWORKS
    name: str  # such as "E 3: conv 128, 4x4, stride 1"
    layer: Layer
    inputs: tuple  # shapes of its input, its condition and its noise, None where it is given none
    players: int  # whose losses send a cotangent back through it: both, through D
    of_data: bool  # its input is x or z, and nobody needs the gradient that its own player's loss has there
    flops: float  # forward, and the gradients by the kernel and by the input that a step takes


def layers(config: ConfigDict) -> list[Seen]:
    """Every layer that the pass of the config's game calls, E's, G's and D's.

    D sees both kinds of pairs as one batch, and is mostly pulled back through twice: for its own loss, by its
    parameters, and for that of G and E, by its input (ali_jax/gradients.py). Further passes of terms are left
    out.
    """
    game, found, networks = build.game(config), [], []
    once = through_d_once(game.networks, game.needs)
    pulls_of_d = 2 if game.needs.generated and not once else 1
    batch = {
        name: jax.ShapeDtypeStruct((config.batch_size, *one.shape[1:]), one.dtype)
        for name, one in game.example.items()
    }

    def note(call, arguments, named, context):
        module = context.module
        if type(module) in NETWORKS:
            networks.append(NETWORKS[type(module)])
        output = call(*arguments, **named)
        if isinstance(module, Layer) and context.method_name == "__call__":
            judges = networks[-1] == "D"
            # D_joint, and a head, sees what layers of D made, where there are any before it.
            first = module.name == "layer_1" and not (
                module.path[0] in ("joint_stack", "x_head", "z_head") and any(s.network == "D" for s in found)
            )
            players = pulls_of_d if judges else 1
            of_data = first and not (judges and once)
            found.append(_seen(networks[-1], module, arguments[:3], output, players, of_data))
        return output

    def run(state, batch):
        before = (state.params, state.batch_stats, state.step)
        bound = BoundNetworks(game.networks, *before, batch.get("attributes"))
        whole = ForwardPass(bound, batch, state.key, game.needs)
        made, _ = whole.make(state.params)
        return whole.judge(state.params, made.shown)

    with nn.intercept_methods(note):
        jax.eval_shape(run, game.shapes, batch)
    return sorted(found, key=lambda seen: [*NETWORKS.values()].index(seen.network))


def _seen(network: str, module: Layer, inputs, output, players: int, of_data: bool) -> Seen:
    stack, number = module.path[0].removesuffix("stack").strip("_"), module.name.removeprefix("layer_")
    where = f"{network}_{stack.replace('_', ' ')}" if stack else network
    kernel = module.variables.get("params", {}).get("kernel")
    macs = 0.0 if kernel is None else len(output) * flops.layer_macs(module.row, kernel.shape, output.shape)
    maps = 1 + 1 + players - of_data  # forward, by the kernel, by the input
    return Seen(
        network=network,
        name=f"{where} {number}: {_words(module.row)}",
        layer=module.clone(parent=None, name=None),
        inputs=jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), inputs),
        players=players,
        of_data=of_data,
        flops=2 * macs * maps,
    )


def _words(row) -> str:
    pixels = f", {row.kernel}x{row.kernel}, stride {row.stride}" if row.operation in WORDS else ""
    return f"{WORDS.get(row.operation, row.operation)} {row.features}{pixels}"


def describe(seen: Seen) -> dict:
    """A layer as `outside` takes it."""
    return {
        "row": seen.layer.row._asdict(),
        "shape": seen.inputs[0].shape,
        "leak": seen.layer.leak,
        "players": seen.players,
        "of_data": seen.of_data,
    }
