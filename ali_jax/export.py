r"""A trained model as one file: E and G, without what trained them, and what is known of them.

    python -m ali_jax.export --workdir=runs/mnist --output=mnist.safetensors

`inference.load("mnist.safetensors")` and `--init_from=mnist.safetensors` take it from there. Its header holds
the config, the step, the data set, the command that began the training, a checksum and, of
<workdir>/results/reconstructions/results.json or of --scores, what was measured. --scores names several
files, with commas, where runs of other seeds were measured too, this one's first.

--discriminator adds D, which `inference.judge` and classes need. --float16 halves the file; it is refused
where that changes samples or codes (by more than CHANGE). --card writes a model card and pictures beside the
file. So the models that come with the package are made:

    python -m ali_jax.export --workdir=runs/digits --output=ali_jax/pretrained/models/digits.safetensors \
        --float16 --card
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from ali_jax import build, data, examples, files, inference, pretrained
from ali_jax.errors import UserError
from ali_jax.paths import local
from ali_jax.pretrained import cards, weights
from ali_jax.run import begun, command_line, pictures, workdirs

DRAWS = 100  # of z, by which --float16 is judged
CHANGE = {"samples": 0.5 / 255, "codes": 0.01}  # root mean square, of pixels and of codes, at most


def define_flags() -> None:
    """Where to write the model, and what to write beside the networks."""
    flags.DEFINE_string("output", None, f"The file to write; its name ends in {weights.SUFFIX}.")
    flags.DEFINE_list("scores", None, "results.json of this run, and of runs of other seeds.")
    flags.DEFINE_bool("discriminator", False, "Whether to export D, too.")
    flags.DEFINE_bool("float16", False, "Whether to write parameters in half the bytes.")
    flags.DEFINE_bool("card", False, "Whether to write a card and pictures beside the file.")


def main(argv):
    """Writes the file that the flags ask for."""
    command_line.refuse_words(argv)
    values = flags.FLAGS
    if not values.workdir or not values.output:
        raise UserError(f"Which model, and where to? Pass --workdir=DIR and --output=FILE{weights.SUFFIX}.")
    if not values.output.endswith(weights.SUFFIX):
        raise UserError(f"--output is {values.output}; pass a name that ends in {weights.SUFFIX}.")
    workdir, output = workdirs.folder(values.workdir), local(values.output, "--output")
    config = workdirs.read_config(workdir)
    config.data_dir = command_line.data_dir_alone() or config.data_dir
    if not values.discriminator and not _has_trained_pairs(config):
        raise UserError(
            f"{workdir} holds a classifier, whose G and E are untrained; pass --discriminator, which "
            "tells classes apart."
        )
    model = inference.load(workdir)
    scores = read_scores(workdir, values.scores, model.step)
    kept = ("generator", "encoder", *(["discriminator"] if values.discriminator else []))
    arrays = weights.flatten(model.params, model.batch_stats, kept)
    if values.float16:
        arrays = halve(arrays)
        check_halved(model, arrays, config.model.num_attributes)
    about = weights.About(
        config=json.loads(workdirs.to_json(config)) | {"data_dir": None},  # which is this machine's
        step=model.step,
        dataset=f"{config.dataset}, split {config.train_split}",
        command=begun.read(workdir).get("command"),
        scores=scores,
    )
    shown = examples.all_fit(config) if values.card else {}  # before a file that is there is replaced
    try:
        weights.write(output, arrays, about)
        if values.card:
            write_card(config, shown, output)
    except OSError as error:
        raise UserError(f"{output} cannot be written ({error.strerror}); pass another --output.") from error
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, step {model.step}")


def read_scores(workdir: Path, given: list[str] | None, step: int) -> list[dict[str, Any]]:
    """What was measured of the model and of its twins; nothing where nothing was given or is in its place."""
    usual = workdir / "results" / "reconstructions" / "results.json"
    paths = [Path(path) for path in given] if given else [usual] if usual.exists() else []
    scores = []
    for path in paths:
        try:
            scores.append(json.loads(path.read_text()))
            measured, _, _ = (scores[-1][field] for field in ("steps", "hardware", "command"))  # of the card
        except (OSError, KeyError, TypeError, ValueError):
            raise UserError(f"{path} is no results.json of a measured model; pass --scores of one.") from None
        if measured != step:
            raise UserError(
                f"{path} was measured at step {measured}, and the model is of step {step}; measure it again."
            )
    return scores


def halve(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters in float16; running statistics stay, as a small variance would become 0."""
    with np.errstate(over="ignore"):
        return {
            name: array.astype(np.float16) if "/params/" in name else array for name, array in arrays.items()
        }


def check_halved(model: inference.Model, arrays: dict[str, np.ndarray], num_attributes: int) -> None:
    """Raises a UserError where the model of halved arrays is not the one that they are of."""
    values = weights.as_roles(Path("the model"), arrays, (model.params, model.batch_stats))
    halved = inference.Model(model.networks, *values)
    z = model.networks.generator.sample_prior(jax.random.key(0), DRAWS)
    shape = (DRAWS, num_attributes)
    attributes = np.random.default_rng(0).integers(2, size=shape) if num_attributes else None
    samples, halved_samples = (inference.decode(m, z, attributes) for m in (model, halved))
    changes = {"samples": _rms(halved_samples - samples)}
    if model.networks.encoder is not None:
        codes, halved_codes = (inference.encode(m, samples, attributes) for m in (model, halved))
        changes["codes"] = _rms(halved_codes - codes) / max(_rms(codes), 1e-30)
    for what, change in changes.items():
        print(f"float16 changes {what} by {change:.2g} (root mean square)")
        if not change <= CHANGE[what]:
            raise UserError(
                f"In float16 the {what} of this model are others (by {change:.2g}, of {CHANGE[what]:.2g} "
                "that may be); leave out --float16."
            )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(values, np.float64)))))


def _has_trained_pairs(config: ConfigDict) -> bool:
    """Whether G and E are trained, and not of a classifier; with terms of a user's own they are taken to be.

    Those need not be there to be imported.
    """
    return any(":" in name for name in config.terms) or build.needs_of_config(config).generated


def write_card(config: ConfigDict, splits: Mapping[str, data.Split], output: Path) -> None:
    """NAME.md beside NAME.safetensors, and its pictures, which are those of the exported model."""
    trained = _has_trained_pairs(config)
    drawn = pictures.of_training(inference.load(output), splits["validation"]) if trained else {}
    for name, picture in drawn.items():
        files.save_png(output.with_name(f"{output.stem}_{name}.png"), picture)
    sizes = {role: len(split.x) for role, split in splits.items()}
    ours = output.resolve().parent == pretrained.MODELS.resolve()  # which are loaded by their names
    source = output.stem if ours else output.name
    about = pretrained.about(output)
    text = cards.card(output.stem, source, about, output.stat().st_size, sizes, list(drawn))
    files.write_whole(output.with_suffix(".md"), text.encode())


if __name__ == "__main__":
    command_line.run(main, define_flags)
