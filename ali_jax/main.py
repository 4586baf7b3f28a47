"""python -m ali_jax.main --config=configs/svhn.py --workdir=runs/svhn"""

from pathlib import Path

from absl import flags

from ali_jax import train
from ali_jax.run import command_line, devices, provenance, signals


def define_flags() -> None:
    """--init_from, and three for a run of several processes, which Cloud TPU and SLURM make needless.

    See docs/scaling.md.
    """
    flags.DEFINE_string("init_from", None, "A model to start from: a file, a name, or a workdir.")
    flags.DEFINE_string("coordinator", None, "host:port of process 0.")
    flags.DEFINE_integer("num_processes", None, "Processes of the whole run.")
    flags.DEFINE_integer("process_id", None, "This one's number, from 0.")


def main(argv):
    """Trains what the flags say."""
    command_line.refuse_words(argv)
    values = flags.FLAGS
    devices.start_processes(values.coordinator, values.num_processes, values.process_id)
    name = Path(command_line.config_name().split(":")[0]).stem
    workdir = values.workdir or Path("runs", name)
    command = provenance.command()
    state = train.train_and_evaluate(values.config, workdir, init_from=values.init_from, command=command)
    signals.require_last_step(int(state.step), values.config.num_steps, workdir)


if __name__ == "__main__":
    command_line.run(main, define_flags)
