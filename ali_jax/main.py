"""python -m ali_jax.main --config=configs/svhn.py --workdir=runs/svhn"""

import logging
import sys
from pathlib import Path

import absl.logging
import jax
from absl import app, flags
from ml_collections import config_flags

from ali_jax import train
from ali_jax.errors import UserError

ROOT = Path(__file__).parent
# Beside the package in a checkout, inside it where it was installed.
CONFIGS = next((p for p in (ROOT.parent / "configs", ROOT / "configs") if p.is_dir()), ROOT)

config_flags.DEFINE_config_file("config", str(CONFIGS / "digits.py"), "What to train.", lock_config=True)
flags.DEFINE_string("workdir", None, "Where to keep the run; default: runs/<name of the config>.")


def main(argv):
    if len(argv) > 1:
        raise UserError(f"{argv[1]!r} is not a flag; write --config=... and --workdir=... .")
    name = Path(config_flags.get_config_filename(flags.FLAGS["config"]).split(":")[0]).stem
    train.train_and_evaluate(flags.FLAGS.config, flags.FLAGS.workdir or Path("runs", name))


def run():
    """Entry point: a UserError ends in its one sentence and exit status 1."""
    log_to_stderr()
    # A second run of the same program starts in seconds.
    jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "ali_jax"))
    try:
        app.run(main)
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
    run()
