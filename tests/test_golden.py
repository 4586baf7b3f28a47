"""The course of every game, against values recorded once: what a change of the code must not change.

`tests/golden/` holds a file of values for each version of jax they were recorded with, and a run that was
trained then. Where the version of jax, the kind of CPU and its cores are those of a file, every bit must be
the same; elsewhere XLA may round differently, and the values must agree to within TOLERANCE.

What is played is in golden_games.py: when the package's API changes, that changes, and the values do not. How
values are made of it is in golden_values.py. To add those of another version of jax:

    python tests/record_golden.py
"""

import functools
import json

import numpy as np
import pytest
from golden_games import GAMES, configs, draws
from golden_values import GOLDEN, machine, values_of_course, values_of_run_as_used

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


def exact(values):
    """Values without the sums beside checksums, which NumPy's BLAS rounds as the CPU is said to be to it."""
    if not isinstance(values, dict):
        return values
    return values.get("sha256") or {name: exact(value) for name, value in values.items()}


@pytest.fixture(scope="module")
def run_here():
    return values_of_run_as_used()


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
    then, now = exact(recorded_here()["courses"][name]), exact(course_here(name))
    for part in ("start", "metrics", "end"):  # where the first of them differs says what changed
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
    then, now = exact(recorded_here()["run"]), exact(run_here)
    for name in then:
        assert now[name] == then[name], name
