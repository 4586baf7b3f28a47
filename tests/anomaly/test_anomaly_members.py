"""Training a member: what it is kept at, and what its game has."""

import numpy as np
import pytest

from ali_jax import build
from ali_jax import config as config_lib
from ali_jax.anomaly import estimator, members, networks


def test_the_plan_follows_from_the_data():
    assert networks.plan(6, 400, width=128) == networks.Plan(6, 3, 128, 1000)
    assert (
        networks.plan(1, 400, width=8).latent_dim == 2 and networks.plan(500, 400, width=8).latent_dim == 32
    )
    assert networks.plan(6, 2000, width=8).steps < networks.plan(6, 500_000, width=8).steps
    assert networks.plan(99, 6000, latent_dim=8, width=9, steps=10) == networks.Plan(99, 8, 9, 10)


@pytest.mark.parametrize("columns", [1, 7])
@pytest.mark.parametrize("twins", [False, True])
def test_the_game_of_a_plan_builds(columns, twins):
    config = networks.config(networks.plan(columns, 100, width=8, twins=twins))
    config_lib.check(config)
    assert ("xx" in build.needs_of_config(config).heads) == twins
    assert (config.model.get("discriminator_xx") is not None) == twins


def test_a_plan_is_made_into_a_program_once():
    plan = networks.plan(3, 100, steps=7, width=4)
    assert networks.program(plan) is networks.program(networks.Plan(*plan))


def test_the_best_look_is_kept(monkeypatch):
    errors = iter([3.0, np.nan, 1.0, 2.0])
    monkeypatch.setattr(members, "held_out_error", lambda model, x: next(errors))
    best = members.Best(None, np.zeros((1, 1)))

    class State:
        average = None
        params, batch_stats = "p", "s"

    for step in range(4):
        State.params = f"p{step}"
        best.save(step, State())
    assert (best.model.params, best.model.step, best.error) == ("p2", 2, 1.0)


def test_every_member_holds_out_other_rows_than_it_is_trained_on():
    shares = [*estimator._shares(100, 3, np.random.RandomState(0))]
    for kept, held_out in shares:
        assert sorted([*kept, *held_out]) == [*range(100)] and len(held_out) == 20
    assert len({*np.concatenate([held_out for _, held_out in shares])}) == 60
    held_out = [sorted(each) for _, each in estimator._shares(20, 4, np.random.RandomState(0))]
    assert all(len(each) == 10 for each in held_out)
    assert sorted(held_out[0] + held_out[1]) == sorted(held_out[2] + held_out[3]) == [*range(20)]
    assert held_out[2] not in held_out[:2]  # drawn again where no other rows are left


@pytest.mark.parametrize("count", [2, 5, 19])
def test_of_few_rows_half_are_held_out(count):
    """Of rows that are trained on a threshold would come that most new ones are beyond."""
    for kept, held_out in estimator._shares(count, 3, np.random.RandomState(0)):
        assert sorted([*kept, *held_out]) == [*range(count)] and len(held_out) == count // 2


def test_a_single_row_is_trained_on_and_looked_at():
    ((kept, held_out),) = estimator._shares(1, 1, np.random.RandomState(0))
    assert [*kept] == [*held_out] == [0]
