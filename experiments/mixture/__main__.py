"""python -m experiments.mixture search, compare, speed or seeds: see the package."""

import sys
from pathlib import Path

from absl import flags

from ali_jax.errors import UserError
from ali_jax.run import begun, overrides, workdirs
from ali_jax.run import command_line as program
from experiments.common import report, shared_flags
from experiments.mixture import compare, search, seeds, speed

COMMANDS = {"search": search.main, "compare": compare.main, "speed": speed.main, "seeds": seeds.main}
READERS = {"draws": ("search", "speed"), "seeds": ("seeds",)}


def define_flags() -> None:
    shared_flags.output()
    draws = ",".join(map(str, range(10)))
    flags.DEFINE_list("draws", draws, "search, speed: numbers of random hyperparameters, for both games.")
    flags.DEFINE_integer("seeds", 10, "seeds: how many, from --config.seed on.")


def main(argv):
    if len(argv) != 2 or argv[1] not in COMMANDS:
        raise UserError(f"Write one of {', '.join(COMMANDS)} after experiments.mixture, and then the flags.")
    values = flags.FLAGS
    shared_flags.refuse_others(values, argv[1], READERS)
    if argv[1] in READERS["draws"]:
        refuse_what_is_drawn()
    if argv[1] == "compare":
        program.refuse_config("The config of a search is kept with it")
    which = values.seeds if argv[1] == "seeds" else shared_flags.whole_numbers("draws", values.draws)
    workdir = workdirs.folder(values.workdir or f"runs/mixture_{'seeds' if argv[1] == 'seeds' else 'search'}")
    # The workdir is made by a command that found nothing wrong, so its own folder not here.
    output = report.asked_output(values.output) or workdir / "results" / argv[1]
    results = COMMANDS[argv[1]](values.config, which, workdir, output)
    training = None if argv[1] == "speed" else begun.read(workdir)  # which times steps of its own
    print(report.write(output, results, training))


def refuse_what_is_drawn() -> None:
    """Raises UserError for a field that was passed and that draws say; the learning rate `check` refuses."""
    for field in overrides.fields_named(sys.argv):
        if field in ("b1", "model.init_std"):
            raise UserError(f"config.{field} is drawn at random by the study; leave it out.")


if __name__ == "__main__":
    program.run(main, define_flags, default=Path(f"{program.CONFIGS / 'mixture.py'}:ali"))
