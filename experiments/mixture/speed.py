"""Runs at once under vmap against the same runs in turn, in images per second."""

import functools
import statistics
import time
from pathlib import Path

import jax
from ml_collections import ConfigDict
from tqdm import tqdm

from ali_jax import data, examples
from experiments.mixture import loop, search

PAIRS = 5  # how often the two run in turn
DISPATCHES = 3  # of config.steps_per_dispatch steps, timed together


def main(config: ConfigDict, draws: list[int], workdir: Path, output: Path) -> dict:
    """Times both games; a machine with other work on it is slow at one time and fast at another."""
    del workdir, output
    search.check(config, draws)
    split = examples.load(config, config.train_split)
    batches = search.batches_of(split, config)
    results = {game: time_game(config, game, draws, batches) for game in search.GAMES}
    settings = {
        "draws": len(draws),
        "batch_size": config.batch_size,
        "steps_per_call": config.steps_per_dispatch,
    }
    return settings | results


def time_game(config: ConfigDict, game: str, numbers: list[int], batches: data.Batches) -> dict:
    drawn, draws = search.chosen(numbers, config.seed), len(numbers)
    at_once = search.run_all(config, game, drawn, at_once=True)
    draw = [search.Draw(*(values[n] for values in drawn)) for n in range(draws)]
    run_one = jax.jit(functools.partial(search.run_one, config, game), donate_argnums=1)

    def in_turn(states, rows):
        return [run_one(draw[n], state, rows) for n, state in enumerate(states)]

    states = jax.jit(functools.partial(search.init_all, config, game, numbers, batches[0]))()
    one_by_one = jax.jit(lambda states: [take(states, n) for n in range(draws)])(states)
    rows = loop.stacked(batches, 0, config.steps_per_dispatch)
    ways = {"at_once": (at_once, states), "in_turn": (in_turn, one_by_one)}
    rates = {way: [] for way in ways}
    for _ in tqdm(range(1 + PAIRS), desc=game, disable=None):
        for way, (run, states) in ways.items():
            start = time.perf_counter()
            for _ in range(DISPATCHES):
                states = jax.block_until_ready(run(states, rows))
            seconds = time.perf_counter() - start
            ways[way] = (run, states)  # what they were was donated
            rates[way].append(draws * DISPATCHES * len(rows["x"]) * config.batch_size / seconds)
    kept = {way: values[1:] for way, values in rates.items()}  # the first compiled
    ratios = [a / b for a, b in zip(kept["at_once"], kept["in_turn"], strict=True)]
    return {
        **{f"images_per_second_{way}": statistics.median(values) for way, values in kept.items()},
        "ratio_median": statistics.median(ratios),
        "ratios": ratios,
    }


def take(tree, n: int):
    """The n-th of stacked values."""
    return jax.tree.map(lambda leaf: leaf[n], tree)
