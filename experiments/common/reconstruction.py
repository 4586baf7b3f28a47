"""How far reconstructions are from their images, beside guesses that know nothing of them."""

from collections.abc import Iterator

import jax
import numpy as np
from tqdm import tqdm

from ali_jax import data, inference
from ali_jax.data.splits import as_floats


def errors(
    model: inference.Model, train_split: data.Split, validation: data.Split, order: np.ndarray, key: jax.Array
) -> dict[str, dict]:
    """`summarize` of the whole validation split for each way to guess an image.

    Args:
      train_split: its mean is a guess.
      order: a permutation of the validation examples; each is also guessed to be the one before it there.
      key: of the draws from q(z|x).
    """
    squared: dict[str, list[np.ndarray]] = {}
    for rows, guesses in passes(model, validation, key):
        for name, guess in guesses.items():
            squared.setdefault(name, []).append(mse(as_floats(validation.x[rows], np.float64), guess))
    ours = {name: summarize(np.concatenate(parts)) for name, parts in squared.items()}
    return ours | references(train_split, validation, order)


def passes(
    model: inference.Model, split: data.Split, key: jax.Array
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Chunk by chunk (numbers of examples, their reconstructions through mu and through a draw)."""
    for rows in chunks(split, "reconstructing"):
        x, _, attributes = data.take(split, rows)
        noise = jax.random.fold_in(key, rows[0])
        yield (
            rows,
            {
                "through_mu": inference.reconstruct(model, x, attributes),
                "through_a_draw": inference.reconstruct(model, x, attributes, noise),
            },
        )


def references(train_split: data.Split, validation: data.Split, order: np.ndarray) -> dict[str, dict]:
    """`errors` of the guesses that no model makes."""
    white = 255 if train_split.x.dtype == np.uint8 else 1
    mean_image = np.mean(train_split.x, axis=0, dtype=np.float64)[None] / white
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)

    squared: dict[str, list[np.ndarray]] = {"mean_training_image": [], "another_validation_image": []}
    for rows in chunks(validation, "references"):
        x = as_floats(validation.x[rows], np.float64)
        squared["mean_training_image"].append(mse(x, mean_image))
        another = as_floats(validation.x[other[rows]], np.float64)
        squared["another_validation_image"].append(mse(x, another))
    return {name: summarize(np.concatenate(parts)) for name, parts in squared.items()}


def chunks(split: data.Split, title: str) -> Iterator[np.ndarray]:
    """The numbers of all examples, in parts that a network takes at once."""
    count = len(split.x)
    for start in tqdm(range(0, count, inference.chunks.CHUNK), title, disable=None, leave=False):
        yield np.arange(start, min(start + inference.chunks.CHUNK, count))


def mse(x: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Mean squared error of each image, (N,), of (N, H, W, C) in [0, 1]."""
    return np.mean(np.square(x - guess), axis=(1, 2, 3))


def summarize(squared: np.ndarray) -> dict[str, float]:
    """MSE of each image, (N,) -> its mean, and that of PSNR = -10 log10(MSE), at most 100 dB."""
    psnr = -10 * np.log10(np.maximum(squared, 1e-10))
    return {"mse": float(np.mean(squared)), "psnr_db": float(np.mean(psnr))}
