"""The flags that several programs have; each program defines those of them that it reads."""

from absl import flags

flags.disclaim_key_flags()  # `--help` lists them with the program's own.


def output() -> None:
    flags.DEFINE_string("output", None, "A folder for results.json and figures.")


def seed() -> None:
    flags.DEFINE_integer("seed", 0, "Of the noise, and of which images are drawn.", lower_bound=0)


def labelled_splits(train: str | None = "train", test: str | None = "test") -> None:
    """None as a default is the config's own split, of training or of validation."""
    default = "" if train else "; default: the config's train_split"
    flags.DEFINE_string("train_split", train, f"Labelled examples to learn from{default}.")
    default = "" if test else "; default: the config's validation_split"
    flags.DEFINE_string("test_split", test, f"Labelled examples to score on{default}.")


def judges() -> None:
    """Of programs that measure with a referee, see `quality`."""
    flags.DEFINE_string("referee", None, "A file of the referee; trained and written where it is not there.")
    flags.DEFINE_integer("examples", 10_000, "Examples of each split to measure on, at most.", lower_bound=1)
