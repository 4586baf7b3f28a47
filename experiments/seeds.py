r"""Several seeds of a config, trained at once as one program: for dense networks on a GPU.

    python -m experiments.seeds --config=configs/mnist_bigan.py --seeds=0,1,2 --workdir=runs/mnist_bigan \
        --config.steps_per_dispatch=100

Each seed is an ordinary run in a workdir of its own, --workdir/seed_SEED: the one that `ali_jax.main` trains
with --config.seed=SEED, but for how products are rounded. It goes on where it was stopped. Small networks
leave most of a GPU unused, which further seeds take up; on a CPU, or with convolutions, train one after
another.
"""

import sys

from absl import flags

from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from ali_jax.run import overrides, provenance, signals, workdirs
from experiments.common import shared_flags, together


def define_flags() -> None:
    flags.DEFINE_list("seeds", ["0", "1", "2"], "The seeds, in place of config.seed.")


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    if values.workdir is None:
        raise UserError("Where shall the runs be kept? Pass --workdir.")
    if "seed" in overrides.fields_named(sys.argv):
        raise UserError("The runs have the seeds of --seeds; leave --config.seed out.")
    if (workdirs.folder(values.workdir) / "config.json").exists():
        raise UserError(
            f"{values.workdir} is the workdir of a run; pass another folder, for the runs of all seeds."
        )
    seeds = shared_flags.whole_numbers("seeds", values.seeds)
    if not seeds:
        raise UserError("--seeds names none; name at least one.")
    configs = [config_lib.of_seed(values.config, seed) for seed in seeds]
    for config in configs:
        config_lib.check(config)
    folders = [workdirs.folder(values.workdir) / f"seed_{seed}" for seed in seeds]
    reached = together.train_all(configs, folders, command=provenance.command())
    signals.require_last_step(reached, values.config.num_steps, values.workdir)


if __name__ == "__main__":
    program.run(main, define_flags)
