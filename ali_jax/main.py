"""python -m ali_jax.main --config=configs/svhn.py --workdir=runs/svhn"""

import functools
import logging
import sys
from pathlib import Path

import absl.logging
import jax
from absl import app, flags
from ml_collections import config_flags

from ali_jax import train
from ali_jax.errors import UserError
from ali_jax.run import devices

ROOT = Path(__file__).parent
# Beside the package in a checkout, inside it where it was installed.
CONFIGS = next((p for p in (ROOT.parent / "configs", ROOT / "configs") if p.is_dir()), ROOT)

DEFAULT = CONFIGS / "digits.py"


def define_shared_flags() -> None:
    """The flags of every program that `run` runs."""
    config_flags.DEFINE_config_file("config", None, f"What to train; default: {DEFAULT}.", lock_config=True)
    flags.DEFINE_string("workdir", None, "Where to keep the run; default: runs/<name of the config>.")


def define_flags() -> None:
    """Of a run of several processes (docs/scaling.md); JAX finds them on Cloud TPU and under SLURM."""
    flags.DEFINE_string("coordinator", None, "host:port of process 0.")
    flags.DEFINE_integer("num_processes", None, "Processes of the whole run.")
    flags.DEFINE_integer("process_id", None, "This one's number, from 0.")


def main(argv):
    """Trains what the flags say."""
    refuse_words(argv)
    values = flags.FLAGS
    devices.start_processes(values.coordinator, values.num_processes, values.process_id)
    name = Path(config_name().split(":")[0]).stem
    train.train_and_evaluate(values.config, values.workdir or Path("runs", name))


def config_name() -> str:
    """--config as it was given: a file, and behind a colon its variant."""
    return config_flags.get_config_filename(flags.FLAGS["config"])


def refuse_words(argv):
    """Raises UserError for what is left of the command line once its flags are read."""
    if len(argv) > 1:
        raise UserError(f"{argv[1]!r} is not a flag; write --workdir=... and the like.")


def parse_flags(argv, default: Path = DEFAULT):
    """absl's parser; a UserError where it or ml_collections would show a traceback."""
    if not any(arg.split("=")[0].lstrip("-") == "config" for arg in argv[1:]):
        # Not the flag's own default: overrides of another config would be tried on that as well.
        argv = [argv[0], f"--config={default}", *argv[1:]]
    try:
        remaining = flags.FLAGS(argv)
        getattr(flags.FLAGS.config, "seed", None)  # raises what loading the config met
        return remaining
    except OSError as error:
        raise UserError(
            f"The config cannot be loaded ({last_line(error)}); pass --config=PATH of one in {CONFIGS}."
        ) from None
    except (AttributeError, flags.Error) as error:
        if "get_config() takes 0 positional arguments" in str(error):
            raise UserError("This config knows no variants; drop the colon and what follows it.") from None
        # A UserError of get_config comes wrapped, its traceback in the message.
        raise UserError(last_line(error).removeprefix("ali_jax.errors.UserError: ")) from None


def last_line(error: Exception) -> str:
    """The last line of an error's message, where ml_collections may have put a quoted message."""
    line = str(error).strip().replace("\\n", "\n").splitlines()[-1].strip()
    return line[:-1] if line.endswith("?'") else line


def run(program, define_flags, default: Path = DEFAULT):
    """Runs program(argv) with flags parsed; a UserError ends in its one sentence and exit status 1.

    Args:
      program: a function of what is left of the command line once its flags are read.
      define_flags: defines the program's own flags. They are defined here, and not where the program is
        imported, so that programs can be imported together whatever their flags are called.
      default: the config where the command line names none.
    """
    define_shared_flags()
    define_flags()
    log_to_stderr()
    if jax.config.jax_compilation_cache_dir is None:  # $JAX_COMPILATION_CACHE_DIR is the user's
        # A second run of the same program starts in seconds.
        jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "ali_jax"))
    try:
        app.run(program, flags_parser=functools.partial(parse_flags, default=default))
    except UserError as error:
        sys.exit(f"Error: {error}")


def log_to_stderr():
    """Our own lines, and of other libraries only warnings."""
    absl.logging.set_verbosity(absl.logging.WARNING)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("ali_jax")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


if __name__ == "__main__":
    run(main, define_flags)
