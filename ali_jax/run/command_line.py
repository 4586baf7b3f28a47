"""The command line of every program: its flags, and mistakes in one sentence."""

import contextlib
import functools
import logging
import os
import sys
import warnings
from pathlib import Path

import absl.logging
import jax
from absl import app, flags
from ml_collections import config_flags

from ali_jax import config as config_lib
from ali_jax import ranges
from ali_jax.config import CONFIGS
from ali_jax.errors import UserError
from ali_jax.run import devices, memory, overrides
from ali_jax.run.signals import Stopped, note_interrupts

DEFAULT = CONFIGS / "digits.py"


def define_shared_flags() -> None:
    """The flags of every program that `run` runs."""
    config_flags.DEFINE_config_file("config", None, f"What to train; default: {DEFAULT}.", lock_config=True)
    flags.DEFINE_string("workdir", None, "Where to keep the run; default: runs/<name of the config>.")
    for name in ("config", "workdir"):  # so that --help shows them, too
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])


def run(program, define_flags, default: Path = DEFAULT):
    """Runs program(argv) with flags parsed; a UserError ends in its one sentence and exit status 1.

    A training that a signal stopped before its end is no success either: by exit status 75 who started it, a
    scheduler or the && of a shell, knows that there is something left to do.

    Args:
      program: a function of what is left of the command line once its flags are read.
      define_flags: defines the program's own flags. They are defined here, and not where the program is
        imported, so that programs can be imported together whatever their flags are called.
      default: the config where the command line names none.
    """
    try:
        define_shared_flags()
    except flags.Error as error:  # ml_collections reads every --flagfile where its own flag is defined
        sys.exit(f"Error: {last_line(error)}")
    define_flags()
    log_to_stderr()
    note_interrupts()
    memory.keep_freed()
    if jax.config.jax_compilation_cache_dir is None:  # so that a second run starts in seconds
        with contextlib.suppress(RuntimeError):  # of a user who has no home, as in some containers
            jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "ali_jax"))
    warnings.filterwarnings("ignore", "coroutine '.*' was never awaited")  # orbax's, of what cannot be read
    try:
        app.run(
            functools.partial(on_devices, program),
            flags_parser=functools.partial(parse_flags, default=default),
        )
    except UserError as error:
        sys.exit(f"Error: {error}")
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)  # 75: "the user is invited to retry"
    except KeyboardInterrupt:  # outside of training, which saves first
        sys.exit("Stopped by Ctrl-C.")


def on_devices(program, argv) -> None:
    """program(argv); a UserError where JAX cannot start a platform, wherever devices are first asked for."""
    try:
        program(argv)
    except (AssertionError, RuntimeError):
        devices.check_platform()
        raise


def config_name() -> str:
    """--config as it was given: a file, and behind a colon its variant."""
    return config_flags.get_config_filename(flags.FLAGS["config"])


def refuse_words(argv) -> None:
    """Raises UserError for what is left of the command line once its flags are read."""
    if len(argv) > 1:
        raise UserError(f"{argv[1]!r} is not a flag; write --workdir=... and the like.")


def data_dir_alone(why: str = "The config of a trained model is kept with it") -> str | None:
    """--config.data_dir, where the data set is now, for a program that reads no other field of its config.

    Args:
      why: it reads none; the start of a sentence.

    Raises:
      UserError: --config or another --config.FIELD was given, which would be ignored.
    """
    refuse_config(
        why, but="data_dir", hint=" (only --config.data_dir can be given, where the data set is now)"
    )
    return flags.FLAGS.config.data_dir


def refuse_config(why: str, but: str = "", hint: str = "") -> None:
    """Raises UserError where --config was given, or a --config.FIELD other than `but`."""
    fields = (f"--config.{field}" for field in overrides.fields_named(sys.argv) if field != but)
    if ignored := "--config" if overrides.config_named(sys.argv) else next(fields, None):
        raise UserError(f"{why}; leave {ignored} out{hint}.")


def parse_flags(argv, default: Path = DEFAULT):
    """absl's parser; a UserError where it or ml_collections would show a traceback."""
    if not any(arg.split("=")[0] in ("-config", "--config") for arg in argv[1:]):
        # Not the flag's own default: overrides of another config would be tried on that as well.
        argv = [argv[0], f"--config={default}", *argv[1:]]
    argv = [argv[0], *map(_with_home, _config_first(argv[1:]))]
    # ml_collections' own errors do not say where.
    fields = overrides.paths(config_lib.load(overrides.config_named(argv)))
    given = sys.argv
    try:
        sys.argv = overrides.without_terms(argv)  # where ml_collections finds overrides
        remaining = flags.FLAGS(sys.argv)
    except (AttributeError, KeyError, flags.Error) as error:
        raise UserError(overrides.unknown_field(argv, fields) or last_line(error)) from None
    except (IndexError, TypeError, ValueError):  # of --config.batch-size
        if told := overrides.unknown_field(argv, fields):
            raise UserError(told) from None
        raise
    finally:
        sys.argv = given
    overrides.set_terms(flags.FLAGS.config, argv)
    if flags.FLAGS.workdir == "":  # as of a variable of the shell that is not set
        raise UserError("--workdir is empty; name a folder, or leave it out.")
    _require_finite_flags()
    return remaining


def _require_finite_flags() -> None:
    """Raises a UserError for a program's own flag that is NaN or infinite: bounds of absl's let NaN pass."""
    for name in flags.FLAGS:
        value = flags.FLAGS[name].value
        if isinstance(value, float) and not name.startswith("config."):  # fields have ranges of their own
            ranges.require(f"--{name}", value, ranges.FINITE)


def _with_home(arg: str) -> str:
    """--workdir=~/runs, in which no shell makes ~ the home directory, with that."""
    name, equals, value = arg.partition("=")
    return f"{name}{equals}{Path(value).expanduser()}" if value == "~" or value.startswith("~/") else arg


def _config_first(args: list[str]) -> list[str]:
    """Arguments with the last --config in front, where ml_collections wants it: before what it overrides."""
    others, left = [], iter(args)
    for arg in left:
        name, equals, _ = arg.partition("=")
        if name not in ("-config", "--config"):
            others.append(arg)
        elif not equals:
            next(left, None)  # its value
    return [f"--config={config_lib.with_path(overrides.config_named(['', *args]))}", *others]


def last_line(error: Exception) -> str:
    """The last line of an error's message, where ml_collections may have put a quoted message."""
    line = str(error).strip().replace("\\n", "\n").splitlines()[-1].strip()
    return line[:-1] if line.endswith("?'") else line


def _tell_unraisable(unraisable) -> None:
    """Python's own way to tell, but for threads and coroutines of orbax that nobody waits for any more."""
    code = getattr(unraisable.object, "cr_code", None)
    of_orbax = code is not None and "orbax" in code.co_filename
    if not of_orbax and "Event loop is closed" not in str(unraisable.exc_value):
        sys.__unraisablehook__(unraisable)


def log_to_stderr() -> None:
    """Our own lines, and of other libraries only warnings."""
    absl.logging.set_verbosity(absl.logging.WARNING)
    # What orbax meets it raises, for us to tell in a sentence; its log holds a traceback for each thread.
    absl.logging.get_absl_logger().addFilter(lambda record: "orbax" not in record.pathname)
    sys.unraisablehook = _tell_unraisable
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("ali_jax")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
