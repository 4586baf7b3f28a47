"""The flags that several programs have; each program defines those of them that it reads."""

from absl import flags

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
