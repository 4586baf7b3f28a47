"""The figures of Sections 4.1 and 4.2: samples, reconstructions and interpolations, with numbers beside them.

    python -m experiments.figures --workdir=runs/celeba

Grids have the published sizes: 8 x 8 samples; 8 x 8 reconstructions of random validation images (odd columns
originals, even columns reconstructions); 4 rows of 14 columns of interpolation, two independent validation
images at the ends. Codes are drawn from q(z|x) as in the paper, or with --mean are mu(x). Conditional models
are given the attributes of validation images, and interpolate these as well.

results.json holds the mean squared error and PSNR of reconstructions of the whole validation split, through
mu and through a draw, against two references: the mean training image, and another validation image. Writes
into <workdir>/results/figures, or into --output; not resumable.
"""

import jax
import numpy as np
from absl import flags

from ali_jax import data, inference
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from ali_jax.run import images
from experiments.common import reconstruction, report, shared_flags, trained_runs


def define_flags() -> None:
    shared_flags.output()
    shared_flags.seed()
    flags.DEFINE_integer("rows", 8, "Of samples and of reconstructions.")
    flags.DEFINE_integer("columns", 8, "Of samples and of reconstructions; even.")
    flags.DEFINE_integer("interpolations", 4, "Pairs of images to interpolate between.")
    flags.DEFINE_integer("between", 12, "Decoded images of an interpolation, both reconstructions included.")
    flags.DEFINE_bool("mean", False, "Encode images as mu(x), not as a draw from q(z|x).")
    flags.DEFINE_bool("slerp", False, "Interpolate on an arc about the origin, not on a line.")


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    run = trained_runs.load(values.workdir, program.data_dir_alone(), needs_encoder=False)
    validation = trained_runs.examples(run.config, run.config.validation_split)
    check(values, run, validation)
    output = report.output(values.output, run.workdir, "figures")
    key_samples, key_codes, key_errors = jax.random.split(jax.random.key(values.seed), 3)
    order = np.random.default_rng(values.seed).permutation(len(validation.x))

    for name, picture in draw(values, run.model, validation, order, key_samples, key_codes).items():
        report.save_image(output, name, picture)
    results = {
        "steps": run.model.step,
        "data": trained_runs.describe(run.config, run.config.validation_split, validation),
        "seed": values.seed,
    }
    if run.model.networks.encoder is not None:
        train_split = trained_runs.examples(run.config, run.config.train_split)
        errors = reconstruction.errors(run.model, train_split, validation, order, key_errors)
        print_table(errors)
        results["reconstruction"] = errors
    print(report.write(output, results, run.training))


def check(values, run: trained_runs.Run, validation: data.Split) -> None:
    """Raises UserError where the figures cannot be drawn as asked."""
    trained_runs.refuse_points(run.config, validation)
    if min(values.rows, values.columns, values.interpolations) < 1 or values.columns % 2:
        raise UserError("--rows, --columns and --interpolations must be at least 1, and --columns even.")
    if values.between < 2:
        raise UserError(f"--between is {values.between}; both reconstructions count, so make it at least 2.")
    needs = {"rows": values.rows * values.columns}
    if run.config.model.encoder is not None:
        needs["interpolations"] = 2 * values.interpolations
    for flag, needed in needs.items():
        if len(validation.x) < needed:
            raise UserError(f"There are {len(validation.x)} validation images, not {needed}; lower --{flag}.")


def draw(
    values, model: inference.Model, validation: data.Split, order: np.ndarray, key_samples, key_codes
) -> dict[str, np.ndarray]:
    """The figures that the flags ask for, by name; of a plain GAN the samples alone.

    Args:
      values: of the flags.
      validation: the images to show, the first ones of `order`, a permutation of them.
    """
    cells, pairs = values.rows * values.columns, values.interpolations

    def chosen(start: int, stop: int) -> data.Split:
        return data.take(validation, order[start:stop])

    samples = draw_samples(model, chosen(0, cells).attributes, cells, values.columns, key_samples)
    if model.networks.encoder is None:
        return {"samples": samples}
    key = None if values.mean else key_codes
    ends = chosen(0, pairs), chosen(pairs, 2 * pairs)
    path = inference.spherical if values.slerp else inference.linear
    return {
        "samples": samples,
        "reconstructions": draw_reconstructions(model, chosen(0, cells // 2), values.columns, key),
        "interpolations": draw_interpolations(model, *ends, values.between, key, path),
    }


def draw_samples(model, attributes: np.ndarray | None, count: int, columns: int, key) -> np.ndarray:
    """A grid of G(z), z from the prior."""
    return images.grid(inference.sample(model, key, count, attributes), columns)


def draw_reconstructions(model, chosen: data.Split, columns: int, key) -> np.ndarray:
    """A grid of originals, each with its reconstruction to the right."""
    again = inference.reconstruct(model, chosen.x, chosen.attributes, key)
    return images.grid(images.alternate(chosen.x, again), columns)


def draw_interpolations(model, first: data.Split, second: data.Split, between: int, key, path) -> np.ndarray:
    """Rows of x1, `between` decodings on the way from its code to that of x2, and x2."""
    attributes, attributes2 = first.attributes, second.attributes
    along = inference.interpolate(model, first.x, second.x, between - 1, attributes, key, attributes2, path)
    x1, x2 = (images.to_uint8(split.x)[:, None] for split in (first, second))
    rows = np.concatenate([x1, images.to_uint8(along), x2], axis=1)
    return images.grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])


def print_table(rows: dict[str, dict]) -> None:
    for name, row in rows.items():
        print(f"{name.replace('_', ' '):24} MSE {row['mse']:.4f}, PSNR {row['psnr_db']:5.2f} dB")


if __name__ == "__main__":
    program.run(main, define_flags)
