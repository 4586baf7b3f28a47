"""Faces by attributes, of a conditional model of CelebA (Section 4.4).

    python -m experiments.attributes --workdir=runs/celeba_conditional

"sequence": 4 x 12 faces from one z, as in the paper's figure: rows are men and women, young and not; columns
add hair, smile, glasses, hat. "editing" (ours): a row for each of a few validation images, its original, its
reconstruction, and decodings of the same code with one attribute turned over at a time. Codes are mu(x, y),
with the image's own attributes y. Writes into <workdir>/results/attributes, or into --output; not resumable.
"""

import jax
import numpy as np
from absl import flags

from ali_jax import data, inference
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from ali_jax.run import images
from experiments.common import report, shared_flags, trained_runs

BASES = (("Male", "Attractive", "Young"), ("Male", "Attractive"), ("Attractive", "Young"), ("Attractive",))
SMILE = ("Black_Hair", "Smiling")
ADDITIONS = (
    (),
    ("Black_Hair",),
    ("Brown_Hair",),
    ("Blond_Hair",),
    ("Black_Hair", "Wavy_Hair"),
    ("Blond_Hair", "Bangs"),
    ("Blond_Hair", "Receding_Hairline"),
    ("Blond_Hair", "Bald"),
    SMILE,
    (*SMILE, "Mouth_Slightly_Open"),
    (*SMILE, "Mouth_Slightly_Open", "Eyeglasses"),
    (*SMILE, "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat"),
)
HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")  # one at a time
EDITS = ("Male", "Young", "Smiling", "Eyeglasses", "Bangs", "Wearing_Hat", "Black_Hair", "Blond_Hair")


def define_flags() -> None:
    shared_flags.output()
    shared_flags.seed()
    flags.DEFINE_integer("faces", 8, "Validation images to edit.")


def main(argv):
    program.refuse_words(argv)
    faces, seed = flags.FLAGS.faces, flags.FLAGS.seed
    run = trained_runs.load(flags.FLAGS.workdir, program.data_dir_alone())
    if run.config.model.num_attributes != len(data.CELEBA_ATTRIBUTES):
        raise UserError(
            f"{run.workdir} holds a model that knows no attributes; train configs/celeba_conditional.py."
        )
    validation = trained_runs.examples(run.config, run.config.validation_split)
    if not 1 <= faces <= len(validation.x):
        raise UserError(f"--faces is {faces}; choose from 1 to the {len(validation.x):,} validation images.")
    output = report.output(flags.FLAGS.output, run.workdir, "attributes")

    report.save_image(output, "sequence", draw_sequence(run.model, jax.random.key(seed)))
    chosen = data.take(validation, np.random.default_rng(seed).permutation(len(validation.x))[:faces])
    report.save_image(output, "editing", draw_editing(run.model, chosen))
    results = {
        "steps": run.model.step,
        "data": trained_runs.describe(run.config, run.config.validation_split, validation),
        "seed": seed,
        "sequence_rows": BASES,
        "sequence_columns": ADDITIONS,
        "editing_columns": ["original", "reconstruction", *EDITS],
    }
    print(report.write(output, results, run.training))


def vector(names: tuple[str, ...]) -> np.ndarray:
    """Attributes by name -> uint8 (40,): 1 for each of them, 0 for all others."""
    y = np.zeros(len(data.CELEBA_ATTRIBUTES), np.uint8)
    y[[data.CELEBA_ATTRIBUTES.index(name) for name in names]] = 1
    return y


def sequence() -> np.ndarray:
    """The attributes of the paper's figure, row by row: uint8 (48, 40). What it does not name is 0 (ours)."""
    return np.stack([vector((*base, *addition)) for base in BASES for addition in ADDITIONS])


def turned_over(y: np.ndarray, name: str) -> np.ndarray:
    """Attributes (N, 40) with one of them the other way round; a new colour of hair replaces the old one."""
    column = data.CELEBA_ATTRIBUTES.index(name)
    edited = np.array(y)
    if name in HAIR:
        edited[:, [data.CELEBA_ATTRIBUTES.index(hair) for hair in HAIR]] = 0
    edited[:, column] = 1 - y[:, column]
    return edited


def draw_sequence(model: inference.Model, key: jax.Array) -> np.ndarray:
    y = sequence()
    z = np.repeat(model.networks.generator.sample_prior(key, 1), len(y), axis=0)
    return images.grid(inference.decode(model, z, y), len(ADDITIONS))


def draw_editing(model: inference.Model, faces: data.Split) -> np.ndarray:
    """Rows of an original, its reconstruction, and one decoding for each of EDITS."""
    z = inference.encode(model, faces.x, faces.attributes)
    ys = [faces.attributes, *(turned_over(faces.attributes, name) for name in EDITS)]
    columns = [faces.x, *(inference.decode(model, z, y) for y in ys)]
    rows = np.stack([images.to_uint8(column) for column in columns], axis=1)  # (N, 2 + edits, H, W, C)
    return images.grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])


if __name__ == "__main__":
    program.run(main, define_flags)
