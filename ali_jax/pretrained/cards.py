"""The card of an exported model: what it is, what it was trained on, and what was measured, in Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ali_jax.pretrained.weights import About

# What restricts the use of a model, because it restricts that of the images it learned from.
IMAGENET = "ImageNet is for non-commercial research only, and so is this model."
RESTRICTED = {
    "svhn_cropped": "SVHN is for non-commercial research only, and so is this model.",
    "celeb_a": "CelebA is for non-commercial research only, and so is this model.",
    "imagenet2012": IMAGENET,
    "imagenet_resized/64x64": IMAGENET,
}

# Row of the table -> where results.json of experiments.reconstructions has its number, and that of the data.
RECONSTRUCTIONS, ENCODER, SAMPLES = ("reconstruction", "through_mu"), ("encoder",), ("samples",)
PROBE = "standardised_probe_accuracy_percent"
NEAREST = "nearest_neighbour_accuracy_percent"
ROWS = {
    "class that reconstructions keep (of attributes: the mean), %": (
        (*RECONSTRUCTIONS, "kept_percent"),
        ("referee", "accuracy_percent"),
    ),
    "attributes that they keep, balanced accuracy, the mean, %": (
        (*RECONSTRUCTIONS, "kept_balanced_percent"),
        ("referee", "balanced_accuracy_percent"),
    ),
    "squared error of reconstructions over that of the mean image": (
        (*RECONSTRUCTIONS, "mse_over_mean_training_image"),
        None,
    ),
    "nearest neighbour of mu, accuracy, %": ((*ENCODER, "mu", NEAREST), (*ENCODER, "pixels", NEAREST)),
    "linear probe of mu, accuracy, %": ((*ENCODER, "mu", PROBE), (*ENCODER, "pixels", PROBE)),
    "linear probe of E's last hidden layer, accuracy, %": ((*ENCODER, "hidden", PROBE), None),
    "Frechet distance of samples, in the referee's features": (
        (*SAMPLES, "frechet_distance_referee"),
        (*SAMPLES, "frechet_distance_referee"),
    ),
    "coverage of samples": ((*SAMPLES, "coverage_referee"), (*SAMPLES, "coverage_referee")),
}


def card(
    name: str, source: str, about: About, size: int, examples: Mapping[str, int], drawn: Sequence[str]
) -> str:
    """The card of NAME.safetensors.

    Args:
      source: what `inference.load` is to be given for it.
      about: its header.
      size: of the file, in bytes.
      examples: how many there were, by the role of their split.
      drawn: names of its pictures, in NAME_<picture>.png.
    """
    config = about.config
    model = config["model"]
    shape = "x".join(map(str, model["x_shape"]))
    counted = ", ".join(f"{count:,} for {role}" for role, count in examples.items())
    facts = [
        f"Data: {about.dataset}, images of {shape}; {counted}.",
        RESTRICTED.get(config["dataset"]),
        f"Game: {', '.join(config['terms'])}; {model['latent_dim']} dimensions of z; seed {config['seed']}.",
        f"Training: {about.step:,} steps of {config['batch_size']} examples{_hours(about.scores)}.",
        f"Begun by `{about.command}`." if about.command else None,
        f"File: {size / 1e6:.1f} MB; SHA-256 of its arrays: {about.sha256}.",
    ]
    parts = [
        f"# {name}",
        f"Made by `python -m ali_jax.export`; loaded by `inference.load({source!r})`.",
        "\n".join(f"![{picture}]({name}_{picture}.png)" for picture in drawn),
        "\n".join(f"* {fact}" for fact in facts if fact),
        _table(about.scores),
    ]
    return "\n\n".join(parts) + "\n"


def _hours(scores: Sequence[Mapping[str, Any]]) -> str:
    seconds = _at(scores[0], ("cost", "seconds")) if scores else None
    return "" if seconds is None else f", {seconds / 3600:.2g} hours"


def _table(scores: Sequence[Mapping[str, Any]]) -> str:
    """What was measured, over all seeds where there are several, beside the same of the data."""
    if not scores:
        return "Scores: not measured."
    first = scores[0]
    judged = _at(first, ("data", "judged")) or "its validation split"
    measured = f"Measured on {judged}, on {first['hardware']}, by `{first['command']}`"
    spread = "mean and standard deviation (of the population)"
    over = f"; {spread} over {len(scores)} seeds, this model's own first" * (len(scores) > 1)
    lines = [f"{measured}{over}:", "", "| score | model | data alone |", "|---|---|---|"]
    for label, (place, beside) in ROWS.items():
        values = [value for value in (_at(row, ("model", *place)) for row in scores) if value is not None]
        if values:
            data = None if beside is None else _at(first, ("data_alone", *beside))
            lines.append(f"| {label} | {_shown(values)} | {'-' if data is None else f'{data:.4g}'} |")
    return "\n".join(lines)


def _shown(values: Sequence[float]) -> str:
    first = f"{values[0]:.4g}"
    if len(values) == 1:
        return first
    return f"{first}; {statistics.mean(values):.4g} +- {statistics.pstdev(values):.2g}"


def _at(values: Any, path: Sequence[str]) -> Any:
    """values[path[0]][path[1]] ..., or None where there is none."""
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
