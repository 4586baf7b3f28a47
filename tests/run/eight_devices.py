"""Run by test_devices.py in a process with 8 host devices: prints one JSON object of findings by config.

PYTHONPATH=.:tests python tests/run/eight_devices.py svhn cifar10
"""

import json
import os
import sys

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np
from conftest import QUICK, load_config, narrow

from ali_jax import build, data, train
from ali_jax.models.rows import Row, conv, dense, transposed
from ali_jax.run import devices
from experiments.common import collectives

STEPS = 20


def make_config(name):
    """configs/<name>.py with small networks, or "packs": digits, whose D has all that it may have beside, or
    "few_labels": digits, where D mixes pairs across a batch.
    """
    if name == "few_labels":
        config = load_config("digits_semi_supervised", "ali_mixup")
        # Logits of 10, which weights of 0.1 give here, take rounding to what decides how D learns.
        config.model.init_std, config.labelled_batch_size = 0.03, 8
        return config
    if name != "packs":
        return with_few_layers(narrow(name))
    config = load_config("digits", "paper")
    config.model.packing, config.model.init_std = 2, 0.1
    config.model.spectral_norm = ("discriminator_joint", "discriminator_xx")
    config.model.weight_norm = ("discriminator_x", "discriminator_z")
    config.model.discriminator_xx = config.model.discriminator_zz = (
        dense(16, norm=True, dropout=0.2),
        dense(1, nonlinearity="linear"),
    )
    config.terms = {"adversarial": {}, "adversarial_cycle_x": {}, "adversarial_cycle_z": {}}
    return config


def with_few_layers(config):
    """One or two layers of each kind that there is: compiling them takes nearly all the time."""
    model, side = config.model, 32
    # The paper's 0.01 leaves these thin networks with gradients of 1e-10, of which rounding is a large part.
    model.init_std = 0.14
    model.encoder = (
        conv(8, 4, stride=2, norm=True),
        conv(8, 5, stride=2, norm=True),
        conv(2 * model.latent_dim, 6, nonlinearity="linear"),
    )
    model.generator = (
        transposed(8, 6, norm=True),
        transposed(8, 5, stride=2, norm=True),
        transposed(3, 4, stride=2, nonlinearity="sigmoid", bias="untied"),
    )
    first, second, *_, last = (Row(*row) for row in model.discriminator_x)
    for row in (first, second):
        side = (side - row.kernel) // row.stride + 1
    model.discriminator_x = (first, second, last._replace(kernel=side, stride=1))
    model.discriminator_z = model.discriminator_z[:1]
    model.discriminator_joint = model.discriminator_joint[::2]  # one hidden layer, and the logit
    return config


def findings(name):
    config = make_config(name)
    config.batch_size = 16
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (64, *config.model.x_shape), dtype=np.uint8)
    label = random.integers(-1, 10, len(x), dtype=np.int32) if "labels" in config.terms else None
    batches = data.Batches(data.Split(x, label, None), config.batch_size, config.seed)
    meshes = {count: jax.sharding.Mesh(np.asarray(jax.devices()[:count]), ("data",)) for count in (1, 8)}
    # Once for both: compiling it takes longer than compiling the step.
    game = build.game(config)
    fresh = jax.jit(game.init, compiler_options=QUICK)(jax.random.key(0), batch=batches[0])
    runs = {count: run(game, fresh, batches, mesh) for count, mesh in meshes.items()}
    (one, losses_one, _), (eight, losses_eight, program) = runs[1], runs[8]
    return {
        "largest_loss_difference": largest_difference(losses_one, losses_eight),
        "largest_statistic_difference": largest_difference(one.batch_stats, eight.batch_stats),
        "largest_moment_difference": largest_moment_difference(one, eight),
        "parameter_bytes": 4 * sum(leaf.size for leaf in jax.tree.leaves(one.params)),
        "statistic_bytes": 4 * sum(leaf.size for leaf in jax.tree.leaves(one.batch_stats)),
        "collectives": collectives.count(program),
    }


def run(game, fresh, batches, mesh):
    """(state after STEPS steps, both losses of each step, the text of the compiled step)."""
    state = jax.device_put(fresh, devices.replicated(mesh), may_alias=False)  # the step takes its buffers
    step = train.compiled_steps(game, mesh)
    step = step.lower(state, devices.put_batches([batches[0]], mesh)).compile()
    losses = []
    for number in range(STEPS):
        state, metrics = step(state, devices.put_batches([batches[number]], mesh))
        losses.append([metrics["loss_discriminator"], metrics["loss_generator_encoder"]])
    return *jax.device_get((state._replace(key=None), losses)), step.as_text()


def largest_difference(a, b) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.max(np.abs(x - y), initial=0)) for x, y in pairs)


def largest_moment_difference(one, eight) -> float:
    """Of Adam's averages of the gradients: of each array, the largest difference by the largest element."""
    moments = [[adam[0].mu for adam in state.opt_state] for state in (one, eight)]
    pairs = zip(*map(jax.tree.leaves, moments), strict=True)
    return max(float(np.max(np.abs(x - y)) / np.max(np.abs(x))) for x, y in pairs)


if __name__ == "__main__":
    print(json.dumps({name: findings(name) for name in sys.argv[1:]}))
