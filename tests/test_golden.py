"""The course of every game, against values recorded once: what a change of the code must not change.

`tests/golden/` holds a file of values for each version of jax they were recorded with, and a run that was
trained then. Where the version of jax, the kind of CPU and its cores are those of a file, every bit must be
the same; elsewhere XLA may round differently, and the values must agree to within TOLERANCE.

Everything that calls the package is in the first section. When its API changes, that section changes; the
values do not. To add those of another version of jax:

    python tests/record_golden.py
"""

import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jaxlib
import numpy as np
import pytest
from conftest import QUICK, load_config, make_tiny_config
from helpers import ROOT, WITHOUT_CLU, environment

from ali_jax import build, data, inference, train
from ali_jax.data.labels import MixedBatches, labelled_rows
from ali_jax.models.dropout import dropout
from ali_jax.run.workdirs import read_config

GOLDEN = Path(__file__).parent / "golden"
RUN = GOLDEN / "run"

# Of what came after the values were recorded: the shares of each term where there are several.
LATER_METRICS = ("loss_adversarial", "loss_adversarial_d", "loss_adversarial_ge", "loss_feature_matching")


# --- The package's API: all that a redesign may have to change here -------------------------------


def configs():
    """{name: config} of a small network of every kind."""
    found = {
        "convolutions": narrow("mnist", "paper"),
        "maxout": small_maxout(),
        "conditional": small_conditional(),
        "bigan": narrow("mnist_bigan"),
        "mixture": narrow("mixture", "ali", width=10, latent_dim=2),
        "gan": narrow("mixture", "gan", width=10, latent_dim=2),
        "semi_supervised": narrow("digits_semi_supervised"),
        "feature_matching": narrow("digits_semi_supervised", "feature_matching"),
        "supervised": narrow("digits_semi_supervised", "supervised"),
        "input_noise": narrow("mnist_semi_supervised"),
    }
    found["bigan"].weight_decay = 0.0
    # So few steps that the rate decays within those that are played, and that the average, which starts as
    # the plain mean, becomes the exponential one.
    found["bigan"].num_steps = found["input_noise"].num_steps = 6
    found["input_noise"].average_rate = 0.4
    found["input_noise"].terms.adversarial.d = 0.5
    return found


def narrow(name: str, *variant: str, width: int = 8, latent_dim: int = 4):
    """A config of configs/ with hidden layers of at most `width` features and larger weights.

    With the config's own standard deviation, made for wide layers, D's logits would be 0 to five digits.
    """
    config = load_config(name, *variant)
    model = config.model
    model.latent_dim, model.init_std = latent_dim, 0.2
    for field in ("encoder", "generator", "discriminator_x", "discriminator_z", "discriminator_joint"):
        rows = model[field] or ()
        count = len(rows) if field in ("discriminator_x", "discriminator_z") else len(rows) - 1
        thin = tuple((*row[:3], min(row[3], width), *row[4:]) for row in rows[:count])
        if rows:
            model[field] = (*thin, *rows[count:])
    if model.encoder is not None:
        (*hidden, head), codes = model.encoder, 2 if model.posterior == "gaussian" else 1
        model.encoder = (*hidden, (*head[:3], codes * latent_dim, *head[4:]))
    return config


def small_maxout():
    """The discriminator of configs/cifar10.py with an encoder and a generator of three layers."""
    config = narrow("cifar10")
    model = config.model
    model.encoder = (
        ("convolution", 4, 2, 6, True, 0.0, "leaky_relu"),
        ("convolution", 5, 2, 8, True, 0.0, "leaky_relu"),
        ("convolution", 6, 1, 8, False, 0.0, "linear", "tied"),
    )
    model.generator = (
        ("transposed", 6, 1, 8, True, 0.0, "leaky_relu"),
        ("transposed", 5, 2, 6, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 3, False, 0.0, "sigmoid", "untied"),
    )
    return config


def small_conditional():
    """As configs/celeba_conditional.py, with two layers where it has five, for images of 8x8."""
    config, embedding = load_config("celeba_conditional"), ("embed", 1, 1, 3, False, 0.0, "linear", "tied")
    model = config.model
    model.x_shape, model.latent_dim, model.num_attributes, model.init_std = (8, 8, 3), 4, 5, 0.2
    model.encoder = (
        ("convolution", 4, 2, 6, True, 0.0, "leaky_relu"),
        ("convolution", 2, 1, 8, True, 0.0, "leaky_relu"),
        embedding,
        ("convolution", 2, 1, 8, False, 0.0, "linear", "tied"),
    )
    model.generator = (
        embedding,
        ("transposed", 3, 1, 8, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 6, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 3, False, 0.0, "sigmoid", "untied"),
    )
    model.discriminator_x = (
        ("convolution", 4, 2, 6, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 3, 1, 8, True, 0.2, "leaky_relu"),
    )
    model.discriminator_z = (("convolution", 1, 1, 8, False, 0.2, "leaky_relu", "none"),)
    model.discriminator_joint = (
        embedding,
        ("convolution", 1, 1, 10, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 1, False, 0.2, "linear", "tied"),
    )
    return config


def course(config, batches):
    """The jitted steps of a config on these batches -> (state at first, metrics by step, state at last)."""
    jit = functools.partial(jax.jit, compiler_options=QUICK)  # nearly all the time is the compiler's
    game = build.game(config)
    state = jit(game.init)(jax.random.key(11), batch=batches[0])

    def recorded(state, batch):
        """A step with the metrics that there were: another output may change how XLA rounds."""
        state, scalars = game.step(state, batch)
        return state, {name: value for name, value in scalars.items() if name not in LATER_METRICS}

    start, step, metrics = as_arrays(state), jit(recorded), []
    for batch in batches:
        state, scalars = step(state, batch)
        metrics.append(jax.device_get(scalars))
    return start, metrics, as_arrays(state)


def as_arrays(state):
    """What a training state holds, as nested dicts of arrays by role and layer; None: not kept."""

    def by_role(values):
        return None if values is None else jax.device_get(values._asdict())

    params, batch_stats = state.average or (None, None)
    return {
        "params": by_role(state.params),
        "batch_stats": by_role(state.batch_stats),
        "average_params": by_role(params),
        "average_batch_stats": by_role(batch_stats),
    }


def draws():
    """{name: what is drawn}: lists of whole numbers and bits, the same on every machine."""
    label = words(200, seed=1) % 10
    rows = {seed: labelled_rows(label, 20, seed) for seed in (0, 1)}
    kept = dropout(jax.random.key(7), np.ones((4, 6, 5), np.float32), 0.3) != 0
    plain = data.Split(np.arange(23), np.arange(23) % 3, None)
    known = data.Split(np.arange(200), label.astype(np.int32), None)
    streams = {
        "batches": (data.Batches(plain, 8, 3), 4),  # beyond the first epoch
        "batches_of_process_1_of_2": (data.Batches(plain, 8, 3, 1, 2), 4),
        "mixed_batches": (MixedBatches(known, rows[0], 9, 3, 3), 8),  # so do the labelled
        "mixed_batches_of_process_1_of_2": (MixedBatches(known, rows[0], 8, 4, 3, 1, 2), 8),
    }
    taken = {
        f"{name}_{field}": [stream[step][field].tolist() for step in range(count)]
        for name, (stream, count) in streams.items()
        for field in ("x", "label")
    }
    labelled = {f"labelled_rows_of_seed_{seed}": of_seed.tolist() for seed, of_seed in rows.items()}
    return {"dropout_mask": np.packbits(kept).tobytes().hex()} | labelled | taken


def train_run(workdir: Path) -> None:
    """Trains the run that tests/golden/run holds, but for its figures and metrics."""
    config = make_tiny_config()
    config.num_steps = config.checkpoint_every = 4
    config.average_rate = 0.1
    train.train_and_evaluate(config, workdir)


def use_run(workdir: Path, images: np.ndarray):
    """{name: what a trained model gives for it}."""
    model = inference.load(workdir)
    return {
        "encode": inference.encode(model, images),
        "encode_with_key": inference.encode(model, images, key=jax.random.key(5)),
        "reconstruct": inference.reconstruct(model, images),
        "sample": inference.sample(model, jax.random.key(4), 6),
    }


def resume_run(workdir: Path):
    """Three more steps of a trained run -> the state at the end."""
    config = read_config(workdir)
    config.num_steps += 3
    return as_arrays(train.train_and_evaluate(config, workdir))


# --- What the games are played on -----------------------------------------------------------------

STEPS, BATCH = 5, 8

# Of each game: the shape of an example, and which of its examples have labels ("all", or every second one) or
# attributes.
GAMES = {
    "convolutions": {"x": (28, 28, 1)},
    "maxout": {"x": (32, 32, 3)},
    "conditional": {"x": (8, 8, 3), "attributes": 5},
    "bigan": {"x": (28, 28, 1)},
    "mixture": {"x": (2,)},
    "gan": {"x": (2,)},
    "semi_supervised": {"x": (8, 8, 1), "label": "half"},
    "feature_matching": {"x": (8, 8, 1), "label": "half"},
    "supervised": {"x": (8, 8, 1), "label": "all"},
    "input_noise": {"x": (28, 28, 1), "label": "half"},
}


def words(*shape: int, seed: int) -> np.ndarray:
    """Random uint32 in this shape; raw bits, because NumPy keeps those the same in every version."""
    raw = np.random.Philox(np.random.SeedSequence([2016, seed])).random_raw(int(np.prod(shape)))
    return (raw >> np.uint64(32)).astype(np.uint32).reshape(shape)


def make_batches(x: tuple, label: str = "none", attributes: int = 0) -> list[dict[str, np.ndarray]]:
    batches = []
    for step in range(STEPS):
        bits = words(BATCH, *x, seed=10 * step)
        points = (bits >> 8).astype(np.float32) * np.float32(2**-21) - 4  # in [-4, 4)
        batch = {"x": (bits >> 24).astype(np.uint8) if len(x) > 1 else points}
        if label != "none":
            batch["label"] = (words(BATCH, seed=10 * step + 1) % 10).astype(np.int32)
        if label == "half":
            batch["label"][::2] = -1
        if attributes:
            batch["attributes"] = (words(BATCH, attributes, seed=10 * step + 2) >> 31).astype(np.uint8)
        batches.append(batch)
    return batches


# --- From arrays to values ------------------------------------------------------------------------


def flatten(tree, path: str = "") -> dict[str, np.ndarray]:
    """{"generator/stack/layer_1/kernel": array}, in the order of the names."""
    if not isinstance(tree, dict):
        return {path.removeprefix("/"): np.asarray(tree, np.float32)}
    parts = [flatten(branch, f"{path}/{name}") for name, branch in tree.items()]
    return dict(sorted(item for part in parts for item in part.items()))


def sha256(tree) -> str:
    digest = hashlib.sha256()
    for name, leaf in flatten(tree).items():
        digest.update(f"{name} {leaf.shape}\n".encode() + leaf.astype("<f4").tobytes())
    return digest.hexdigest()


def numbers(tree) -> list[float]:
    """[how many, sum, sum of squares, sum of sin(k) p_k] of all values, the last one to tell their order."""
    leaves = [leaf.ravel() for leaf in flatten(tree).values()]
    values = np.concatenate([np.zeros(0), *leaves]).astype(np.float64)
    along = np.sin(np.arange(1, len(values) + 1))
    return [len(values), *(float(f"{v:.12g}") for v in (values.sum(), values @ values, along @ values))]


def checksum(tree):
    """All that is recorded of nested dicts by role; None of None."""
    if tree is None:
        return None
    return {"sha256": sha256(tree), **{role: numbers(branch) for role, branch in sorted(tree.items())}}


def moved(start, end):
    """What the steps changed: it shows a wrong update better than its sum with where it started."""
    before, after = flatten(start), flatten(end)
    roles = {role: {} for role in end}
    for name, leaf in after.items():
        roles[name.split("/")[0]][name] = leaf.astype(np.float64) - before[name]
    return roles


def scalar(value) -> str:
    """A float32 as a decimal that reads back as it, and its bits."""
    value = np.float32(value)
    return f"{float(str(value))!r} {value.view(np.uint32):08x}"


def array(value: np.ndarray) -> dict:
    return {"shape": list(value.shape), "float32": np.asarray(value, "<f4").tobytes().hex()}


def values_of_course(name: str, config) -> dict:
    start, metrics, end = course(config, make_batches(**GAMES[name]))
    return {
        "metrics": {key: [scalar(m[key]) for m in metrics] for key in sorted(metrics[0])},
        "start": {part: checksum(tree) for part, tree in start.items()},
        "end": {part: checksum(tree) for part, tree in end.items()},
        "moved": {role: numbers(leaves) for role, leaves in moved(start["params"], end["params"]).items()},
    }


def values_of_run(folder: Path) -> dict:
    """Of tests/golden/run, through a copy in `folder`."""
    copy = folder / "run"
    shutil.copytree(RUN, copy)
    images = (words(6, 8, 8, 1, seed=3) >> 24).astype(np.uint8)
    given = {name: array(value) for name, value in use_run(copy, images).items()}
    return given | {"resumed": {part: checksum(tree) for part, tree in resume_run(copy).items()}}


def machine() -> dict:
    """All that the last bit of a result depends on beside the code."""
    try:
        lines = dict(
            line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line
        )
        info = {name.strip(): text.strip() for name, text in lines.items()}
    except OSError:  # not Linux
        info = {}
    flags = " ".join(sorted(info.get("flags", info.get("Features", "")).split()))
    return {
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "backend": jax.default_backend(),
        "devices": jax.device_count(),
        "cpu": info.get("model name", platform.processor()),
        "cpu_features_sha256": hashlib.sha256(flags.encode()).hexdigest(),
        "cpu_cores": os.cpu_count(),
        # The courses state their own, and the run is made in a process without those of the tests.
        "xla_flags": os.environ["XLA_FLAGS"].replace(os.environ["QUICK_COMPILER"], ""),
    }


# --- Comparison -----------------------------------------------------------------------------------

# How far each kind of value may be from the recorded one; see `differences` for what it is relative to.
# Measured between jax 0.10.2 and 0.12.0 on one CPU, the largest over all games: metrics 2.0e-6, numbers of
# parameters and statistics 3.4e-7 (both start from other last bits of the normal draws), what the parameters
# moved by 1.3e-5, arrays 2.4e-7. These are ten times that or more. Where Adam turns the sign of a gradient
# that is rounded to either side of 0, "moved" shows it first; it did not happen.
TOLERANCE = {"metrics": 2e-5, "numbers": 4e-6, "moved": 2e-4, "arrays": 3e-6}


def recorded() -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(GOLDEN.glob("jax-*.json"))]


def recorded_here() -> dict:
    """The values to be matched to the last bit."""
    for record in recorded():
        if record["machine"] == machine():
            return record
    pytest.skip("no values were recorded with this jax on this kind of machine")


def differences(kind: str, now, then) -> list[tuple[str, float]]:
    """How far recorded values are apart, each relative to what it is rounded at, by the kind of value.

    Raises:
      AssertionError: they are not values of the same things.
    """
    if isinstance(then, dict) and "float32" in then:
        assert now["shape"] == then["shape"]
        one, other = (np.frombuffer(bytes.fromhex(v["float32"]), "<f4") for v in (now, then))
        return [("arrays", float(np.max(np.abs(one - other))))]
    if isinstance(then, dict):
        assert isinstance(now, dict) and now.keys() == then.keys()
        inner = {"metrics": "metrics", "moved": "moved"}
        names = [name for name in then if name != "sha256"]
        return [d for name in names for d in differences(inner.get(name, kind), now[name], then[name])]
    if kind == "metrics":
        assert len(now) == len(then)
        pairs = [(float(a.split()[0]), float(b.split()[0])) for a, b in zip(now, then, strict=True)]
        return [(kind, abs(a - b) / (1 + abs(b))) for a, b in pairs]
    if then is None:
        assert now is None
        return []
    assert now[0] == then[0], "another number of parameters"
    norm = np.sqrt(then[2])
    if not norm:  # no values, or those of a network that did not move
        assert now == then
        return [(kind, 0.0)]
    scales = (norm, then[2], norm)
    return [(kind, abs(a - b) / scale) for a, b, scale in zip(now[1:], then[1:], scales, strict=True)]


def assert_close(now, then) -> None:
    for kind, difference in differences("numbers", now, then):
        assert difference <= TOLERANCE[kind], kind


@functools.cache
def course_here(name: str) -> dict:
    return as_json(values_of_course(name, configs()[name]))


@functools.cache
def draws_here() -> dict:
    return as_json(draws())


def as_json(values: dict) -> dict:
    return json.loads(json.dumps(values))


@pytest.fixture(scope="module")
def run_here(tmp_path_factory):
    """What the run gives in a process of its own, compiled as users have it."""
    script = "import json, sys, pathlib, test_golden as golden\n"
    script += "print(json.dumps(golden.values_of_run(pathlib.Path(sys.argv[1]))))"
    command = [sys.executable, "-c", script, tmp_path_factory.mktemp("golden")]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", WITHOUT_CLU)))
    env = environment(PYTHONPATH=paths)
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# --- Tests ----------------------------------------------------------------------------------------


def test_there_are_values_of_every_game():
    assert configs().keys() == GAMES.keys()
    assert recorded()
    for record in recorded():
        assert record["courses"].keys() == GAMES.keys()


@pytest.mark.parametrize("name", GAMES)
def test_a_game_takes_its_course_within_rounding(name):
    for record in recorded():
        assert_close(course_here(name), record["courses"][name])


@pytest.mark.parametrize("name", GAMES)
def test_a_game_takes_its_course_to_the_last_bit(name):
    then = recorded_here()["courses"][name]
    now = course_here(name)
    for part in then:  # one after another: where the first one differs says what changed
        assert now[part] == then[part], part


@pytest.mark.parametrize("name", recorded()[0]["draws"] if recorded() else ())
def test_draws_are_the_same_everywhere(name):
    for record in recorded():
        assert draws_here()[name] == record["draws"][name]
    assert draws_here().keys() == recorded()[0]["draws"].keys()


def test_a_run_of_before_is_read_and_resumed_within_rounding(run_here):
    for record in recorded():
        assert_close(run_here, record["run"])


def test_a_run_of_before_is_read_and_resumed_to_the_last_bit(run_here):
    then = recorded_here()["run"]
    for name in then:
        assert run_here[name] == then[name], name
