r"""How fast a config trains: the bare step, the whole loop, and opponents in the same run.

    python -m experiments.benchmark --config=configs/svhn.py
    python -m experiments.benchmark --config=configs/svhn.py \
        --opponent "PyTorch: torch/bin/python torch_ali.py svhn" \
        --opponent "PyTorch, autocast: torch/bin/python torch_ali.py svhn --amp"

Prints one JSON object, and writes it to --output/results.json where that is given. With opponents, the bare
step of ours in each of --dtypes and all of them run in turn (A B C A B C ...), each in a process of its own,
and a table compares them; results.json is written anew after every round. An opponent prints a JSON object
that has "images_per_second" as its last line. Without opponents the bare step and the loop take turns.
"""

import json
import operator
import os
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import jax
from absl import flags

from ali_jax import config as config_lib
from ali_jax import examples, models, train
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from ali_jax.run import provenance
from ali_jax.run.metrics import read_lines
from ali_jax.run.signals import Stopped
from experiments.common import contest, flops, report, shared_flags, timing

OF_THE_CONTEST = ("opponent", "dtypes", "rounds", "output")  # flags that no single contestant gets


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_integer("steps", 20, "Calls to time, of steps_per_dispatch steps each.", lower_bound=1)
    flags.DEFINE_bool("loop", True, "Also time the training loop, with its data, metrics and checkpoints.")
    flags.DEFINE_bool("random_images", False, "Random images in place of the data set.")
    flags.DEFINE_multi_string("opponent", [], "NAME: COMMAND of a program to compare with.")
    flags.DEFINE_list("dtypes", list(models.DTYPES), "Ours to compare with opponents.")
    flags.DEFINE_integer(
        "rounds",
        None,
        "How often all of them take turns; by default 3 times, or once without opponents.",
        lower_bound=1,
    )


def main(argv):
    program.refuse_words(argv)
    config, values = flags.FLAGS.config, flags.FLAGS
    config_lib.check(config)
    if not values.opponent:
        of_contests = {"dtypes": ("--opponent",)} | ({} if values.loop else {"rounds": ("--opponent",)})
        shared_flags.refuse_others(values, "ours alone, whose dtype is config.dtype", of_contests)
    output = report.asked_output(values.output)
    if unknown := sorted({*values.dtypes} - {*models.DTYPES}):
        raise UserError(f"--dtypes={unknown[0]} is none of {', '.join(models.DTYPES)}.")
    if values.opponent:
        for results in contest.hold(ours(values), contest.named(values.opponent), values.rounds or 3):
            keep(output, results)
        print(contest.table(results), flush=True)
        return
    results = measure(config, values)
    print(json.dumps(results), flush=True)
    keep(output, results)


def ours(values) -> dict[str, list[str]]:
    """The command of each dtype: this one's own, without what is of the comparison alone."""
    arguments = contest.without(sys.argv[1:], OF_THE_CONTEST)
    command = [sys.executable, "-m", "experiments.benchmark", *arguments, "--noloop"]
    return {f"ours, {dtype}": [*command, f"--config.dtype={dtype}"] for dtype in values.dtypes}


def keep(output: Path | None, results: dict) -> None:
    """Writes results.json, where a folder for it was given."""
    if output:
        report.write(output, results)


def measure(config, values) -> dict:
    """Everything about ourselves, in this process."""
    # Else what this or another program compiled before would be read, and counted as compiled.
    jax.config.update("jax_enable_compilation_cache", False)
    splits = timing.random_splits(config) if values.random_images else examples.load_splits(config)
    count = flops.of_average_step(config)  # of all terms
    step, matmul = timing.time_step(config, splits["train"], values.steps), timing.matmul_rate(config.dtype)
    results = {
        "device": provenance.hardware(),
        "jax": jax.__version__,
        "config": os.path.relpath(program.config_name()),
        "data": "random images" if values.random_images else config.dataset,
        "batch_size": config.batch_size,
        "dtype": config.dtype,
        **step,
        "flops_per_step": flops.of_step(config),  # of the one pass that every game has
        "traced_flops_per_step": count,
        "flops_per_second": count / step["step_seconds"],
        "matmul_flops_per_second": matmul,
        "share_of_matmul_rate": count / step["step_seconds"] / matmul,
        "peak_memory_bytes": timing.peak_memory(),
    }
    if values.loop:
        bare = step["images_per_second"]
        results |= time_loop_in_turn(config, splits, bare, values.steps, values.rounds or 1)
    return results


def time_loop_in_turn(config, splits, bare: float, steps: int, rounds: int) -> dict:
    """The loop and, after it, the bare step, in turn: medians of the rounds.

    A machine may be faster at one time than at another, so each loop is compared with the mean of the bare
    steps before and after it.

    Args:
      bare: images per second of the bare step before the first loop.
      steps: calls of the bare step to time.
    """
    of_steps, of_loops, once = [bare], [], None
    for _ in range(rounds):
        of_loops.append(time_loop(config, splits, once))
        once = of_loops[0]["loop_first_figures_seconds"]
        of_steps.append(timing.time_step(config, splits["train"], steps)["images_per_second"])
    beside = [statistics.mean(pair) for pair in pairwise(of_steps)]
    rates = [loop["loop_images_per_second"] for loop in of_loops]
    plain = [loop["loop_plain_images_per_second"] for loop in of_loops]
    return {name: statistics.median(loop[name] for loop in of_loops) for name in of_loops[0]} | {
        "bare_images_per_second_of_rounds": of_steps,
        "loop_images_per_second_of_rounds": rates,
        "loop_share_of_bare_step": statistics.median(map(operator.truediv, rates, beside)),
        "loop_plain_share_of_bare_step": statistics.median(map(operator.truediv, plain, beside)),
    }


def time_loop(config, splits, once: float | None = None) -> dict:
    """Images per second of `train_and_evaluate` over the config's whole run, its first compilation left out.

    Nine intervals of metrics, with a checkpoint and figures after every second: the third holds the first of
    these, and after it one without them takes turns with one that holds them. What these take beyond the
    others is counted as often as the config asks for a checkpoint; what the third takes beyond that (figures
    are compiled there, their libraries imported) comes once in a run, and is counted once in its num_steps.

    Args:
      once: seconds of that, from the first loop of this process; later ones find all compiled.
    """
    whole, config = config, config.copy_and_resolve_references()
    # Whole calls of the device, so that every interval has as many steps.
    calls = -(-config.log_every // config.steps_per_dispatch)
    steps = config.log_every = calls * config.steps_per_dispatch
    config.num_steps = 9 * steps
    config.figures_every = config.checkpoint_every = 2 * steps
    with tempfile.TemporaryDirectory() as workdir:
        state = train.train_and_evaluate(config, workdir, splits)
        if int(state.step) < config.num_steps:
            raise Stopped("Stopped before the loop was timed; the same command begins anew.")
        rates = [line.get("images_per_second") for line in read_lines(Path(workdir) / "metrics.jsonl")]
    seconds = [config.batch_size * steps / rate for rate in rates if rate]
    return of_run(whole, steps, seconds, once)


def of_run(config, steps: int, seconds: list[float], once: float | None = None) -> dict:
    """The rate of the config's run, from the seconds of nine intervals of `steps` steps; see `time_loop`."""
    _, _, first, *others = seconds
    plain = statistics.median(others[::2])
    extra = max(0.0, statistics.median(others[1::2]) - plain)
    once = max(0.0, first - plain - extra) if once is None else once
    each = plain / steps + extra / config.checkpoint_every + once / config.num_steps
    return {
        "loop_images_per_second": config.batch_size / each,
        "loop_plain_images_per_second": config.batch_size * steps / plain,
        "loop_checkpoint_and_figures_seconds": extra,
        "loop_first_figures_seconds": once,
    }


if __name__ == "__main__":
    program.run(main, define_flags)
