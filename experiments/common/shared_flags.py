"""The flags that several programs have; each program defines those of them that it reads."""

from absl import flags

flags.disclaim_key_flags()  # `--help` lists them with the program's own.


def output() -> None:
    flags.DEFINE_string("output", None, "A folder for results.json and figures.")


def seed() -> None:
    flags.DEFINE_integer("seed", 0, "Of the noise, and of which images are drawn.", lower_bound=0)


def labelled_splits() -> None:
    flags.DEFINE_string("train_split", "train", "Labelled examples to learn from.")
    flags.DEFINE_string("test_split", "test", "Labelled examples to score on.")
