"""How far reconstructions are from their images, beside guesses that know nothing of them."""

import jax
import numpy as np
from tqdm import tqdm

from ali_jax import data, inference


def errors(
    model: inference.Model, train_split: data.Split, validation: data.Split, order: np.ndarray, key: jax.Array
) -> dict[str, dict]:
    """`summarize` of the whole validation split for each way to guess an image.

    Args:
      train_split: its mean is a guess.
      order: a permutation of the validation examples; each is also guessed to be the one before it there.
      key: of the draws from q(z|x).
    """
    mean_image = np.mean(train_split.x, axis=0, dtype=np.float64)[None] / 255
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)

    squared: dict[str, list[np.ndarray]] = {}
    for start in tqdm(range(0, len(order), inference.CHUNK), "reconstructing", disable=None):
        rows = np.arange(start, min(start + inference.CHUNK, len(order)))
        x, _, attributes = data.take(validation, rows)
        noise = jax.random.fold_in(key, start)
        guesses = {
            "through_mu": inference.reconstruct(model, x, attributes),
            "through_a_draw": inference.reconstruct(model, x, attributes, noise),
            "mean_training_image": mean_image,
            "another_validation_image": validation.x[other[rows]] / 255,
        }
        for name, guess in guesses.items():
            squared.setdefault(name, []).append(mse(x / 255, guess))
    return {name: summarize(np.concatenate(parts)) for name, parts in squared.items()}


def mse(x: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Mean squared error of each image, (N,), of (N, H, W, C) in [0, 1]."""
    return np.mean(np.square(x - guess), axis=(1, 2, 3))


def summarize(squared: np.ndarray) -> dict[str, float]:
    """MSE of each image, (N,) -> its mean, and that of PSNR = -10 log10(MSE), at most 100 dB."""
    psnr = -10 * np.log10(np.maximum(squared, 1e-10))
    return {"mse": float(np.mean(squared)), "psnr_db": float(np.mean(psnr))}
