"""Every test runs on the CPU, without the network, and without silent broadcasting between ranks."""

import contextlib
import gc
import importlib.metadata
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Many tests, and the processes that they start, compile the same programs, which is most of their time. What
# one of them compiled the others read, from a folder that is removed at the end; also what takes
# milliseconds, of which a pass that is not jitted has a hundred.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="ali_jax_tests_")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# A compiler that optimises little takes half the time, and small networks run no slower for it. Code compiled
# as users have it is tested by tests/test_golden.py.
os.environ["QUICK_COMPILER"] = "--xla_backend_optimization_level=0" + (
    " --xla_cpu_use_fusion_emitters=false" * (importlib.metadata.version("jax") < "0.11")  # gone since then
)
os.environ.setdefault("XLA_FLAGS", os.environ["QUICK_COMPILER"])

import jax
import pytest
from absl import flags
from absl.testing import flagsaver
from tiny import get_config as make_tiny_config

from ali_jax import config as config_lib
from ali_jax import data, train
from ali_jax.run import command_line as program
from experiments.mixture import search

# Where a shell runs the tests in the background it has them ignore Ctrl-C, and so would what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Traces and further imports make objects that stay. To look for others as often as by default takes time.
gc.set_threshold(50_000, 20, 20)
jax.config.update("jax_numpy_rank_promotion", "raise")
# The process that writes TensorBoard's events imports TensorFlow, for seconds. Of the processes that tests
# start only those have clu whose test takes this out.
os.environ["PYTHONPATH"] = str(Path(__file__).parent / "without_clu")
flags.FLAGS.mark_as_parsed()  # Programs of experiments/ read their flags; tests set them by `flags_of`.


def pytest_unconfigure(config):
    """pytest's last call: of the controller, where there are workers, which all share the folder."""
    if not hasattr(config, "workerinput") and "ali_jax_tests_" in os.environ["JAX_COMPILATION_CACHE_DIR"]:
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


# Each takes tens of seconds, most of them in few tests. They run first, the longest before the others: a long
# file at the end leaves the other cores idle.
LONG_FILES = (
    "golden devices processes train_step train_step_courses seeds semi_supervised mixture_compare train main"
    " semi_supervised_table"
).split()


def pytest_collection_modifyitems(items):
    place = {f"test_{name}": number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


# For jax.jit: little, whatever the process has; and as users have it, where many steps are run.
QUICK, OPTIMISED = ({"xla_backend_optimization_level": level} for level in (0, 3))
if jax.__version_info__ < (0, 11):
    QUICK["xla_cpu_use_fusion_emitters"], OPTIMISED["xla_cpu_use_fusion_emitters"] = False, True

CONFIGS = Path(__file__).parent.parent / "configs"


def load_config(name: str, *variant: str):
    """get_config(*variant) of configs/<name>.py."""
    return config_lib.load(CONFIGS / f"{name}.py", *variant)


@pytest.fixture
def with_clu(monkeypatch):
    """Processes that the test starts write TensorBoard's events."""
    monkeypatch.setenv("PYTHONPATH", "")


@pytest.fixture
def tiny_config():
    return make_tiny_config()


@pytest.fixture(scope="session")
def tiny_workdir(tmp_path_factory):
    """A finished run of the tiny config, with checkpoints of steps 4, 8 and 12; not to be written to."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    train.train_and_evaluate(make_tiny_config(), workdir)
    return workdir


@contextlib.contextmanager
def flags_of(module, **values):
    """Defines the flags of a program, as when it is the one that runs, and sets some, for a while."""
    with no_flag_left():
        program.define_shared_flags()
        module.define_flags()
        with flagsaver.flagsaver(**{"config": config_lib.default(), **values}):
            yield


@contextlib.contextmanager
def no_flag_left():
    """Takes back the flags that are defined meanwhile."""
    before = set(flags.FLAGS)
    try:
        yield
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)


@pytest.fixture
def in_process(monkeypatch):
    """run(module, *flags): what a program does with these flags, in this process and without its handlers."""

    def run(module, *given):
        argv = [module.__name__, *map(str, given)]
        monkeypatch.setattr(sys, "argv", argv)  # where ml_collections looks for overrides
        with flags_of(module):
            module.main(program.parse_flags(argv))

    monkeypatch.chdir(CONFIGS.parent)
    return run


@pytest.fixture
def run_program(tmp_path):
    """run(module, **flags): a program of experiments/ in this process -> (its results.json, its folder)."""

    def run(module, **values):
        output = tmp_path / "output"
        with flags_of(module, output=str(output), **values):
            module.main([])
        return json.loads((output / "results.json").read_text()), output

    return run


def thin(rows, times: int):
    """Rows with as many times fewer feature maps, but for those that are colours, coordinates or logits."""
    return tuple((*row[:3], row[3] if row[3] <= 3 else row[3] // times, *row[4:]) for row in rows)


def narrow(name: str):
    """configs/<name>.py with an eighth of the feature maps: the paper's layers, small enough to test."""
    config = load_config(name)

    config.model.latent_dim //= 8
    for field, rows in config.model.items():
        if field == "encoder" or field.startswith(("generator", "discriminator")):
            config.model[field] = thin(rows, 8)
    return config


def make_tiny_study():
    """The 25-mode study with narrow networks and few steps."""
    config = load_config("mixture", "ali")
    config.batch_size, config.validation_split = 20, "test[:2000]"
    config.num_steps, config.steps_per_dispatch = 10, 2
    config.log_every = config.checkpoint_every = 6
    for field, depth in (("encoder", 2), ("generator", 1), ("discriminator_joint", 1)):
        rows = config.model[field]
        config.model[field] = thin((*rows[:depth], rows[-1]), 50)
    return config


@pytest.fixture
def tiny_study():
    return make_tiny_study()


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """(workdir of a search of two draws, its output, its results); not to be written to."""
    workdir = tmp_path_factory.mktemp("search")
    return workdir, workdir / "out", search.main(make_tiny_study(), [0, 1], workdir, workdir / "out")


def small_data(config):
    """(batches, 200 test points)."""
    split = data.load("mixture", "train")._replace(label=None)
    return data.Batches(split, config.batch_size, config.seed), data.load("mixture", "test").x[:200]
