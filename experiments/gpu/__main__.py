"""python -m experiments.gpu prepare, run or status: see the package."""

from absl import flags

from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from ali_jax.run import workdirs
from experiments.common import shared_flags
from experiments.gpu import plan, slices

COMMANDS = ("prepare", "run", "status")
READERS = {"share": ("prepare",), "opponent": ("prepare",), "minutes": ("run",), "parts": ("run",)}


def define_flags() -> None:
    flags.DEFINE_float("share", 1.0, "prepare: of their full lengths that trainings take.", 0.0, 1.0)
    flags.DEFINE_string("opponent", None, "prepare: NAME: COMMAND of a program to compare with.")
    flags.DEFINE_float("minutes", 9.0, "run: of the slice.")
    flags.DEFINE_list("parts", [], "run: the parts to work at; default: all that have not failed.")


def main(argv):
    if len(argv) != 2 or argv[1] not in COMMANDS:
        raise UserError(f"Write one of {', '.join(COMMANDS)} after experiments.gpu, and then the flags.")
    values = flags.FLAGS
    shared_flags.refuse_others(values, argv[1], READERS)
    why = "The plan has a config for each of its parts"
    data_dir = program.data_dir_alone(why) if argv[1] == "prepare" else program.refuse_config(why)
    if values.workdir is None:
        raise UserError("Where are the plan and its data? Pass --workdir.")
    folder = workdirs.folder(values.workdir)
    if argv[1] == "prepare":
        plan.prepare(folder, plan.all_parts(values.share, values.opponent), data_dir)
    elif argv[1] == "run":
        slices.run(folder, values.minutes, values.parts)
    print(slices.status(folder))


if __name__ == "__main__":
    program.run(main, define_flags)
