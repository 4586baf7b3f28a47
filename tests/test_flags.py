"""The flags of the programs: no two collide, and importing defines none."""

import importlib
import runpy

import pytest
from absl import flags
from conftest import flags_of

from ali_jax import config as config_lib
from ali_jax.run import command_line
from experiments.common import report

EXPERIMENTS = report.RESULTS.parent
NAMES = [
    "ali_jax.main",
    "ali_jax.export",
    "ali_jax.app.__main__",
    *sorted(f"experiments.{path.stem}" for path in EXPERIMENTS.glob("*.py")),
    *sorted(f"experiments.{path.parent.name}.__main__" for path in EXPERIMENTS.glob("*/__main__.py")),
]
SHARED = ("output", "seed", "train_split", "test_split", "referee")


@pytest.fixture(scope="module")
def programs():
    return {name: importlib.import_module(name) for name in NAMES}


def test_importing_all_programs_defines_no_flag(programs):
    defined = {module: found for module, found in flags.FLAGS.flags_by_module_dict().items() if found}
    assert len(programs) > 2
    assert not [module for module in defined if module.startswith(("ali_jax", "experiments"))]


def test_no_two_flags_of_a_program_collide_and_none_outlives_it(programs):
    """absl raises where a program defines a flag that it shares with others, or that absl has, once more."""
    before = set(flags.FLAGS)
    for program in programs.values():
        with flags_of(program):
            assert {"config", "workdir"} < set(flags.FLAGS) - before
        assert set(flags.FLAGS) == before


def test_a_program_that_is_run_runs_its_main_with_its_flags(programs, monkeypatch):
    given = []
    monkeypatch.setattr(command_line, "run", lambda *arguments, **named: given.append((arguments, named)))
    for program in programs.values():
        runpy.run_path(program.__file__, run_name="__main__")
        (main, define_flags), named = given.pop()
        assert (main.__name__, define_flags.__name__) == ("main", "define_flags")
        assert not given and config_lib.load(named.get("default", command_line.DEFAULT))


def test_a_shared_flag_is_the_same_in_every_program(programs):
    found = {}
    for module, program in programs.items():
        if not module.startswith("experiments."):
            continue
        with flags_of(program):
            for name in {*SHARED} & {*flags.FLAGS}:
                flag = flags.FLAGS[name]
                found.setdefault(name, []).append((flag.default, flag.help))
    assert {name: len(set(definitions)) for name, definitions in found.items()} == dict.fromkeys(SHARED, 1)
    assert all(len(definitions) > 1 for definitions in found.values())


def test_help_shows_what_every_program_takes(programs):
    """absl's --help shows flags of the file that is run alone, and these are of another."""
    with flags_of(programs["ali_jax.main"]):
        shown = flags.FLAGS.main_module_help()
    assert {"--config:", "--workdir:"} < {*shown.split()}
