"""What several test modules share beside conftest's fixtures: runs in processes of their own, and models."""

import contextlib
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from conftest import load_config

from ali_jax import build, inference
from ali_jax.players import BoundNetworks
from ali_jax.roles import Roles
from ali_jax.rounds import ForwardPass
from ali_jax.run.checkpoints import Checkpoints
from ali_jax.run.workdirs import read_config
from ali_jax.terms import Needs, Players, Round, Share
from experiments.gpu.slices import STOPPING_WITH_US

ROOT = Path(__file__).parent.parent
WITHOUT_CLU = ROOT / "tests" / "without_clu"
SMALL = ["--config=tests/tiny.py:noise", "--config.log_every=1", "--config.figures_every=1000000"]


def environment(**values):
    """Of a process that a test starts: compiled as users have it, and without TensorBoard."""
    return {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(WITHOUT_CLU), **values}


@contextlib.contextmanager
def start(*flags, env=None, **options) -> Iterator[subprocess.Popen]:
    """The program as a user starts it, in a process of its own, which is killed when the block ends.

    Where Python is killed in the block, the process gets SIGTERM.
    """
    command = [sys.executable, *STOPPING_WITH_US, "-m", "ali_jax.main", *map(str, flags)]
    process = subprocess.Popen(command, cwd=ROOT, env=env or environment(), text=True, **options)
    try:
        yield process
    finally:
        process.kill()  # of one that has ended it is nothing
        process.wait()


def wait_for_lines(process, path, count):
    for _ in range(6000):
        assert process.poll() is None, "the run ended before it could be stopped"
        if path.exists() and path.read_text().count("\n") >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not reach {count} lines")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def no_file_longer_than(size):
    """Writing beyond so many bytes fails with an OSError, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def last_state(workdir, step=None):
    """(step, the arrays) of a workdir's last checkpoint, or of that of a step."""
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with Checkpoints(workdir, read_only=True) as checkpoints:
        shapes = build.game(read_config(workdir)).shapes
        step, state = checkpoints.restore(shapes, device, step)
    return step, arrays(state)


def arrays(tree) -> list:
    """The leaves of a tree; of a random key, its numbers."""
    keys = jax.dtypes.prng_key
    leaves = jax.tree.leaves(tree)
    return [jax.random.key_data(a) if jax.numpy.issubdtype(a.dtype, keys) else a for a in leaves]


def assert_same(tree, other) -> None:
    """Every array is the other's, to the bit."""
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for a, b in zip(arrays(tree), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


def assert_close(params, others, config) -> None:
    """On average within a hundredth of what Adam moves in one step: another's batch or key moves far more."""
    pairs = zip(*map(jax.tree.leaves, (params, others)), strict=True)
    apart = np.concatenate([np.ravel(np.abs(np.asarray(one) - other)) for one, other in pairs])
    assert np.mean(apart) < config.learning_rate / 100
    assert np.max(apart) < config.learning_rate


def moved(before, after) -> Roles:
    """Whether any parameter of a role changed."""
    differ = jax.tree.map(lambda a, b: not np.array_equal(a, b), before, after)
    return Roles(*(any(jax.tree.leaves(role)) for role in differ))


def truncate(folder):
    """Cuts every data file of a checkpoint to half its length."""
    files = [p for p in folder.rglob("*") if p.is_file() and "/d/" in str(p)]
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_conditional_config(*x_shape: int, variant: tuple[str, ...] = ()):
    """configs/celeba_conditional.py as one linear map a network, each with its embedding of 40 attributes."""
    config = load_config("celeba_conditional", *variant)
    config.model.x_shape, config.model.latent_dim = x_shape, 4
    config.model.init_std = 0.5
    pixels = x_shape[0] * x_shape[1] * x_shape[2]
    flatten = ("flatten", 1, 1, pixels, False, 0.0, "linear")
    embed = config.model.generator[0]
    config.model.encoder = (flatten, embed, ("dense", 1, 1, 8, False, 0.0, "linear", "tied"))
    config.model.generator = (embed, ("dense", 1, 1, pixels, False, 0.0, "sigmoid", "tied"))
    config.model.discriminator_x, config.model.discriminator_z = (flatten,), ()
    config.model.discriminator_joint = (embed, ("dense", 1, 1, 1, False, 0.0, "linear", "tied"))
    return config


def untrained(config, **batch):
    """The model of a config before its first step, of the shape of these examples."""
    state = jax.jit(build.game(config).init)(jax.random.key(0), batch=batch)
    return inference.of_state(build.game(config).networks, state)


def begun(config):
    """(game, state before its first step, a batch) of a config of grey images of 8x8 pixels."""
    game = build.game(config)
    batch = {"x": np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)}
    return game, jax.jit(game.init)(jax.random.key(0), batch=batch), batch


def generate_twice(round, players, key):
    """A term that runs G once more, and no other network."""
    return Share(ge=jax.numpy.mean(players.generate(round.z)))


class Played(NamedTuple):
    """One pass of a game, with all that terms may ask for."""

    round: Round
    players: Players
    batch_stats: Roles  # after it
    key: jax.Array  # of the terms


def play(networks, params, state, batch) -> Played:
    """The pass of the step after this state, as `train_step` has it."""
    key = jax.random.fold_in(state.key, state.step)
    needs = Needs(heads=("x", "z"), hidden=True)
    bound = BoundNetworks(networks, params, state.batch_stats, state.step, batch.get("attributes"))
    whole = ForwardPass(bound, batch, key, needs)
    made, (stats_g, stats_e) = jax.jit(whole.make)(params)  # jitted, as op by op each is compiled
    judged, stats_d = jax.jit(whole.judge)(params, made.shown)
    stats = Roles(stats_g, stats_e, stats_d)
    return Played(whole.round(made, judged), whole.players(params), stats, whole.keys().terms)
