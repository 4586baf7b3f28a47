"""Using a trained model: sample, encode, reconstruct, interpolate, features.

    from ali_jax import inference

    model = inference.load("runs/svhn")
    codes = inference.encode(model, images)  # uint8 (N, 32, 32, 3) -> (N, 256)

Networks run with their running statistics and without dropout. Images go in as whole numbers from 0 to 255 or
as floats from 0 to 1, in an array or in a list of arrays or PIL images, any number of them, and come out as
float32 in [0, 1]. Conditional models take `attributes`, (N, A) of zeros and ones. What is none of these is
refused (`inputs`).
"""

from ali_jax.inference.classes import class_probabilities, classification_error, errors
from ali_jax.inference.interpolation import interpolate, linear, spherical
from ali_jax.inference.passes import compare, decode, encode, features, judge, reconstruct, sample
from ali_jax.pretrained import Model, about, load, of_state

__all__ = [
    "Model",
    "about",
    "class_probabilities",
    "classification_error",
    "compare",
    "decode",
    "encode",
    "errors",
    "features",
    "interpolate",
    "judge",
    "linear",
    "load",
    "of_state",
    "reconstruct",
    "sample",
    "spherical",
]
