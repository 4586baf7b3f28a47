"""The flags that several programs have; each program defines those of them that it reads."""

from collections.abc import Mapping

from absl import flags

from ali_jax.errors import UserError

flags.disclaim_key_flags()  # `--help` lists them with the program's own.


def output() -> None:
    flags.DEFINE_string("output", None, "A folder for results.json and figures.")


def seed() -> None:
    flags.DEFINE_integer("seed", 0, "Of the noise, and of which images are drawn.", lower_bound=0)


def labelled_splits() -> None:
    """What they are by default, the program says: the official ones, or those of the config."""
    flags.DEFINE_string("train_split", None, "Labelled examples to learn from.")
    flags.DEFINE_string("test_split", None, "Labelled examples to score on.")


def judges() -> None:
    """Of programs that measure with a referee, see `quality`."""
    flags.DEFINE_string("referee", None, "A file of the referee; trained and written where it is not there.")
    flags.DEFINE_integer("examples", 10_000, "Examples of each split to measure on, at most.", lower_bound=1)


def whole_numbers(flag: str, texts: list[str], least: int = 0) -> list[int]:
    """The values of a list flag.

    Raises:
      UserError: one is no whole number, or below `least`, or stands there twice.
    """
    for text in texts:
        if not text.isdecimal() or int(text) < least:
            raise UserError(
                f"--{flag}: {text!r} is no whole number of at least {least}; write such, with commas between."
            )
    found = [int(text) for text in texts]
    if len({*found}) < len(found):
        raise UserError(f"--{flag}={','.join(texts)} names one twice; name each once.")
    return found


def refuse_others(values, command: str, readers: Mapping[str, tuple[str, ...]]) -> None:
    """Raises UserError for a flag that was passed to one thing a program does, and is of others.

    Args:
      values: flags.FLAGS.
      command: what is done, by the name of the command, or in words.
      readers: name of a flag -> what reads it; flags that are not named are of all that the program does.
    """
    for flag, commands in readers.items():
        if values[flag].present and command not in commands:
            raise UserError(f"--{flag} is of {' or '.join(commands)}, not of {command}; leave it out.")
