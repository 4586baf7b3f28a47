"""What terms cost: experiments/terms_cost.py."""

import pytest
from conftest import load_config

from ali_jax import build, terms
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from experiments import terms_cost
from experiments.common import flops, timing


def test_every_variant_is_a_game_of_its_own(tiny_config):
    games = terms_cost.variants(tiny_config)
    assert set(games) == {*terms_cost.TERMS, terms_cost.SPECTRAL}  # the tiny config's own is the paper's
    assert [*games[terms_cost.PAPER].terms] == ["adversarial"]
    assert games["R1 every 8 steps"].terms.to_dict() == {"adversarial": {}, "r1": {"every": 8}}
    assert "discriminator_joint" in games[terms_cost.SPECTRAL].model.spectral_norm
    assert not tiny_config.model.spectral_norm
    for game in games.values():
        build.game(game)  # D has what the terms ask for


def test_every_term_of_the_library_that_goes_beside_the_papers_is_timed():
    timed = {name for beside in terms_cost.TERMS.values() for name in beside}
    instead, of_labels = (
        {"adversarial", "hinge", "relativistic"},
        {"labels", "consistency", "mixup", "feature_matching"},
    )
    assert timed == {*terms.TERMS} - instead - of_labels


def test_a_recipe_is_timed_against_the_plain_game_on_its_networks():
    recipe = load_config("svhn", "recipe")
    games = terms_cost.variants(recipe, [terms_cost.OWN])
    assert [*games] == [terms_cost.PAPER, terms_cost.OWN]
    assert games[terms_cost.OWN].terms == recipe.terms
    plain, own = (games[name].model for name in games)
    assert plain == own == recipe.model
    with pytest.raises(UserError, match="'fast' is not among"):
        terms_cost.variants(recipe, ["fast"])
    recipe.terms.r1.every = 3
    with pytest.raises(UserError, match="r1 every 3 steps, and 8 are timed"):
        terms_cost.variants(recipe, [terms_cost.OWN])


def test_games_take_their_steps_in_turn():
    turns = []
    runs = {"a": lambda: turns.append("a") or 1.0, "b": lambda: turns.append("b") or 2.0}
    assert terms_cost.in_turn(runs, 2) == {"a": [1.0, 1.0], "b": [2.0, 2.0]}
    assert turns == ["a", "b", "a", "b"]


def test_costs_are_ratios_to_the_papers_game_round_by_round():
    seconds = {terms_cost.PAPER: [1.0, 2.0, 1.0], "cycle": [2.0, 3.0, 1.0], "R1": [2.0, 5.0, 2.0]}
    found = terms_cost.summarize(seconds, {terms_cost.PAPER: 10.0, "cycle": 15.0, "R1": 16.0})["games"]
    cycle = found["cycle"]
    assert (cycle["ratio"], cycle["ratio_min"], cycle["ratio_max"]) == (1.5, 1.0, 2.0)
    assert cycle["flops_ratio"] == 1.5 and cycle["step_seconds"] == 2.0
    *_, cycle, r1 = terms_cost.table(found).splitlines()
    assert cycle == "| cycle | 2,000.0 | 1.500 (1.000 to 2.000) | 0.00 | 1.500 | 1.000 |"
    assert r1.endswith("| 2.000 (2.000 to 2.500) | 0.00 | 1.600 | **1.250** |")


def test_a_penalty_now_and_then_counts_by_its_share(tiny_config, monkeypatch):
    traced = {"adversarial": 10.0, "adversarial r1": 18.0, "adversarial r2": 14.0}
    monkeypatch.setattr(flops, "of_traced_step", lambda config: traced[" ".join(sorted(config.terms))])
    game = config_lib.of_terms(tiny_config, {"adversarial": {}, "r1": {"every": 8}, "r2": {"every": 2}})
    assert flops.of_average_step(game) == 10 + 8 / 8 + 4 / 2
    assert flops.of_average_step(config_lib.of_terms(tiny_config, {"adversarial": {}, "r1": {}})) == 18


def test_a_game_is_compiled_and_timed(tiny_config):
    split = timing.random_splits(tiny_config)["train"]
    games = terms_cost.variants(tiny_config)
    assert terms_cost.Steps(games["R1 every 8 steps"], split)() > 0
