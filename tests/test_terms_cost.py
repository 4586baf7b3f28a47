"""What terms cost: experiments/terms_cost.py."""

import pytest

from experiments import terms_cost


def test_every_variant_is_a_game_of_its_own(tiny_config):
    games = terms_cost.variants(tiny_config)
    assert set(games) == {*terms_cost.TERMS, terms_cost.SPECTRAL}
    assert [*games[terms_cost.PAPER].terms] == ["adversarial"]
    assert games["R1 every 8 steps"].terms.to_dict() == {"adversarial": {}, "r1": {"every": 8}}
    assert "discriminator_joint" in games[terms_cost.SPECTRAL].model.spectral_norm
    assert not tiny_config.model.spectral_norm


def test_games_take_their_steps_in_turn():
    turns = []
    runs = {"a": lambda: turns.append("a") or 1.0, "b": lambda: turns.append("b") or 2.0}
    assert terms_cost.in_turn(runs, 2) == {"a": [1.0, 1.0], "b": [2.0, 2.0]}
    assert turns == ["a", "b", "a", "b"]


def test_costs_are_ratios_to_the_papers_game_round_by_round():
    sometimes = "R1 every 8 steps"
    seconds = {terms_cost.PAPER: [1.0, 2.0, 1.0], "cycle": [2.0, 3.0, 1.0], sometimes: [1.0, 2.0, 2.0]}
    found = terms_cost.summarize(seconds, {terms_cost.PAPER: 10.0, "cycle": 15.0, sometimes: 18.0})["games"]
    cycle = found["cycle"]
    assert (cycle["ratio"], cycle["ratio_min"], cycle["ratio_max"]) == (1.5, 1.0, 2.0)
    assert cycle["flops_ratio"] == 1.5 and cycle["step_seconds"] == 2.0
    assert found[sometimes]["flops_ratio"] == pytest.approx(1.1)  # 0.8 more in one step of 8


def test_a_game_is_compiled_and_timed(tiny_config):
    split = terms_cost.random_splits(tiny_config)["train"]
    games = terms_cost.variants(tiny_config)
    assert terms_cost.Steps(games["R1 every 8 steps"], split)() > 0
