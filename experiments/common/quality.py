"""How good a model is, by a referee: its reconstructions, its codes and its samples, as one dict of numbers.

    bench = quality.prepare(learn, judged, trained_referee)  # once for a data set
    numbers = quality.measure(model, bench)  # of each model

What does not depend on the model is in `bench.numbers`, in the same shape, to stand beside it.
"""

from typing import NamedTuple

import jax
import numpy as np

from ali_jax import data, inference
from ali_jax.data.splits import as_floats
from ali_jax.inference.inputs import is_conditional
from experiments.common import (
    accuracies,
    distances,
    features,
    reconstruction,
    referee,
    trained_runs,
    verdicts,
)
from experiments.common.referee import Referee

FEATURES = "referee"  # what the names of distances over its last hidden layer end in


class Bench(NamedTuple):
    """What every model of a data set is measured on."""

    # Training images, with what is known of them, which neighbours and the probe learn from.
    learn: data.Split
    judged: data.Split  # other images, with the same
    referee: Referee
    truth: np.ndarray  # of the judged images, as the referee tells it: (N,) or (N, A)
    seen: np.ndarray  # by the referee in them: the same shape
    features: np.ndarray  # of the judged images: (N, D)
    numbers: dict


def prepare(learn: data.Split, judged: data.Split, trained: Referee, seed: int = 0) -> Bench:
    """The bench, with what stands beside a model's numbers.

    Its numbers are: "referee", the accuracy on the judged images; "reconstruction", the errors of two
    guesses, the mean training image and another judged image; "encoder", accuracies of pixels; "samples",
    scores of as many training images, which the referee has learned: a little too far from images it has not.
    """
    opinion = referee.look(trained, judged.x)
    _, truth = referee.targets(judged)
    random = np.random.default_rng(seed)
    order, some = random.permutation(len(judged.x)), random.permutation(len(learn.x))[: len(judged.x)]
    bench = Bench(learn, judged, trained, truth, opinion.seen(trained.kind), opinion.features, {})
    pixels = {"pixels": tuple(trained_runs.pixels(split.x) for split in (learn, judged))}
    bench.numbers.update(
        referee=verdicts.accuracy(truth, bench.seen),
        reconstruction=reconstruction.references(learn, judged, order),
        encoder=_accuracies(pixels, bench),
        samples=score(bench, referee.look(trained, learn.x[some]).features),
    )
    return bench


def measure(model: inference.Model, bench: Bench, seed: int = 0) -> dict:
    """The numbers of a model: "samples" and, where it has an encoder, "reconstruction" and "encoder"."""
    bench = as_taken(model, bench)
    key_draws, key_samples = jax.random.split(jax.random.key(seed))
    samples = of_samples(model, bench, key_samples)
    if model.networks.encoder is None:
        return {"samples": samples}
    return {
        "reconstruction": of_reconstructions(model, bench, key_draws),
        "encoder": of_encoder(model, bench),
        "samples": samples,
    }


def of_reconstructions(model: inference.Model, bench: Bench, key: jax.Array) -> dict[str, dict]:
    """Errors of reconstructions through mu and through a draw, and what the referee sees in them.

    Both are also given as shares of the errors of the two guesses that `prepare` measures.
    """
    squared, seen = {}, {}
    for rows, guesses in reconstruction.passes(model, bench.judged, key):
        x = as_floats(bench.judged.x[rows], np.float64)
        for name, guess in guesses.items():
            squared.setdefault(name, []).append(reconstruction.mse(x, guess))
            seen.setdefault(name, []).append(referee.look(bench.referee, guess).seen(bench.referee.kind))
    found = {}
    for name in squared:
        errors = reconstruction.summarize(np.concatenate(squared[name]))
        ratios = {
            f"mse_over_{guess}": errors["mse"] / row["mse"]
            for guess, row in bench.numbers["reconstruction"].items()
        }
        found[name] = errors | ratios | verdicts.kept(bench.truth, bench.seen, np.concatenate(seen[name]))
    return found


def of_encoder(model: inference.Model, bench: Bench) -> dict[str, dict]:
    """Nearest neighbours and a probe of standardised mu and last hidden layer; of classes alone."""
    if bench.referee.kind != "classes":
        return {}
    learn, judged = (features.mu_and_hidden(model, split) for split in as_taken(model, bench)[:2])
    return _accuracies({name: (learn[name], judged[name]) for name in learn}, bench)


def _accuracies(kinds: dict[str, tuple[np.ndarray, np.ndarray]], bench: Bench) -> dict[str, dict]:
    if bench.referee.kind != "classes":
        return {}
    labels = bench.learn.label, bench.truth
    return {name: accuracies.measure(*of_both, *labels, standardise=True) for name, of_both in kinds.items()}


def of_samples(model: inference.Model, bench: Bench, key: jax.Array) -> dict:
    """Scores of as many samples as there are judged images, over the referee's features.

    A conditional model is given the attributes of the judged images, and "asked" is how far the referee sees
    them in its samples.
    """
    x = inference.sample(model, key, len(bench.judged.x), bench.judged.attributes)
    opinion = referee.look(bench.referee, x)
    scores = score(bench, opinion.features)
    if is_conditional(model) and bench.referee.kind == "attributes":
        scores["asked"] = verdicts.accuracy(bench.truth, opinion.seen(bench.referee.kind))
    return scores


def score(bench: Bench, generated: np.ndarray) -> dict[str, float]:
    """Frechet distance, precision, recall, density and coverage of features (M, D)."""
    values = {
        "frechet_distance": distances.frechet(bench.features, generated),
        **distances.manifolds(bench.features, generated),
    }
    return {f"{kind}_{FEATURES}": value for kind, value in values.items()}


def as_taken(model: inference.Model, bench: Bench) -> Bench:
    """The bench as `inference` takes its splits of this model: with attributes only where its networks do."""
    if is_conditional(model):
        return bench
    learn, judged = (split._replace(attributes=None) for split in (bench.learn, bench.judged))
    return bench._replace(learn=learn, judged=judged)
