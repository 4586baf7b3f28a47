"""Generated configs: each ends in a training or in one sentence, and never with NaN in its config.json."""

import shutil
import time
from pathlib import Path
from typing import Any

from conftest import make_tiny_config
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from ali_jax import train
from ali_jax.errors import UserError
from ali_jax.run.overrides import paths

from .tally import Row

WHOLE = st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 4, 5, 7, 12, 16, 40, 1000, 2**31, 2**32, 2**63])
NUMBER = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([-1.0, 0.0, 0.3, 0.5, 1.0, 1e39])
TEXT = st.sampled_from(
    ["", "normal", "uniform", "noise", "deterministic", "gaussian", "train", "test[:20]", "é\n"]
)
COLUMN = WHOLE | NUMBER | TEXT | st.booleans() | st.none()
STEPS = 3


def like(value: Any) -> st.SearchStrategy:
    """Values that ConfigDict takes in place of `value`."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return WHOLE
    if isinstance(value, float):
        return NUMBER | WHOLE.map(float)
    if isinstance(value, str):
        return TEXT
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return st.lists(row_like(value), max_size=len(value) + 1).map(tuple)
    return st.lists(WHOLE, max_size=4).map(tuple)


def row_like(rows: tuple) -> st.SearchStrategy:
    """One of the rows, with or without one of its values replaced."""

    def changed(drawn: tuple) -> tuple:
        row, place, value = drawn
        return row if place is None else (*row[:place], value, *row[place + 1 :])

    place = st.none() | st.integers(0, 6)
    return st.tuples(st.sampled_from(rows), place, COLUMN).map(changed)


def leaves() -> dict[str, Any]:
    config = make_tiny_config()
    found = {}
    for path in paths(config):
        value = config
        for name in path.split("."):
            value = value[name]
        if isinstance(value, int | float | str | tuple) and path != "num_steps":
            found[path] = value
    return found


def tally(scratch: Path, seed: int, seconds: float, at_most: int = 500) -> Row:
    deadline, tried, lost = time.monotonic() + seconds, 0, []
    fields = leaves()
    one = st.sampled_from(sorted(fields)).flatmap(lambda path: st.tuples(st.just(path), like(fields[path])))

    @seeded(seed)
    @settings(
        max_examples=at_most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(one, min_size=1, max_size=3))
    def attempt(changes: list[tuple[str, Any]]) -> None:
        nonlocal tried
        if time.monotonic() > deadline:
            return
        tried += 1
        try:
            train_with(changes, scratch / "generated")
        except Exception as error:
            lost.append(f"{changes}: {type(error).__name__}: {str(error).strip()[:200]}")

    attempt()
    print(f"generated configs: {tried - len(lost)} of {tried} survived", flush=True)
    return Row("generated configs", tried, lost)


def train_with(changes: list[tuple[str, Any]], workdir: Path) -> None:
    shutil.rmtree(workdir, ignore_errors=True)
    config = make_tiny_config()
    config.num_steps = STEPS
    for path, value in changes:
        *parents, field = path.split(".")
        part = config
        for parent in parents:
            part = part[parent]
        part[field] = value
    try:
        train.train_and_evaluate(config, workdir)
    except UserError as error:
        assert "\n" not in str(error), error
    config_json = workdir / "config.json"
    assert not config_json.exists() or "NaN" not in config_json.read_text()
