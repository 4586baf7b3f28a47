"""Features of Keras's InceptionV3, trained on ImageNet: (N, 2048), the average-pooled last layer.

Not the network of the standard FID: that is the TensorFlow graph of 2015, with other weights, and with other
pooling. Distances over these features compare with each other only.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ali_jax.errors import UserError, first_line
from ali_jax.run import images

CHUNK = 100
NAME = "keras_inception_v3"


def load(weights: str | None) -> Callable[[np.ndarray], np.ndarray]:
    """A function of images, uint8 or [0, 1] float (N, H, W, C) -> (N, 2048), on the CPU.

    Args:
      weights: a file of Keras's weights without the top layer; None to download it.

    Raises:
      UserError: there is no such file, or it cannot be read or downloaded.
    """
    if weights is not None and not Path(weights).is_file():
        raise UserError(f"--inception_weights={weights} is not a file.")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError(f"InceptionV3 needs `pip install tensorflow` ({error}).") from error
    tf.config.set_visible_devices([], "GPU")
    build = tf.keras.applications.InceptionV3
    try:
        network = build(include_top=False, pooling="avg", weights=weights or "imagenet")
    except Exception as error:  # Keras raises what the network or HDF5 raised.
        fault = f"{'read' if weights else 'downloaded'} ({first_line(error)})"
        raise UserError(
            f"The weights of InceptionV3 cannot be {fault}; "
            "pass --inception_weights=FILE with inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 of "
            "Keras, or score with --features=encoder or pixels."
        ) from None

    def features(x: np.ndarray) -> np.ndarray:
        chunks = range(0, len(x), CHUNK)
        return np.concatenate(
            [
                network.predict_on_batch(_prepare(tf, images.to_uint8(x[start : start + CHUNK])))
                for start in tqdm(chunks, "inception", disable=None, leave=False)
            ]
        )

    return features


def _prepare(tf, x: np.ndarray) -> np.ndarray:
    """uint8 images as the network was trained: RGB, 299 x 299, floats in [-1, 1]."""
    x = np.broadcast_to(x, (*x.shape[:3], 3))
    return tf.image.resize(x, (299, 299), antialias=True).numpy() / 127.5 - 1
