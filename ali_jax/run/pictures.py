"""The pictures a run draws of itself."""

import logging

import jax
import numpy as np

from ali_jax import data, inference
from ali_jax.run import images

logger = logging.getLogger(__name__)

COLUMNS = 8
CELLS = COLUMNS**2  # as the paper's figures
POINTS = 5000


def of_training(model: inference.Model, validation: data.Split) -> dict[str, np.ndarray]:
    """name -> uint8 (H, W, 3), of images and of points; of examples of another shape none.

    The same noise and the same validation examples at every step.
    """
    if validation.x.ndim == 2:
        return {"mixture": _of_points(model, validation)}
    return _of_images(model, validation) if validation.x.ndim == 4 else {}


def _of_images(model: inference.Model, validation: data.Split) -> dict[str, np.ndarray]:
    key_z, key_noise = map(jax.random.key, range(2))
    figures = {"samples": images.grid(_samples(model, validation, key_z, CELLS), COLUMNS)}
    if model.networks.encoder is not None:
        # As many as samples, twice what is shown, so that G is not compiled for two sizes.
        originals, attributes = _head(validation.x, CELLS), _head(validation.attributes, CELLS)
        # Through a draw from q(z|x), as the paper's figures, not through its mean.
        codes = inference.encode(model, originals, attributes, key_noise)
        if _finite(codes):
            pairs = images.alternate(originals, inference.decode(model, codes, attributes))
            figures["reconstructions"] = images.grid(pairs[:CELLS], COLUMNS)
    return figures


def _of_points(model: inference.Model, validation: data.Split) -> np.ndarray:
    key_z, key_noise = map(jax.random.key, range(2))
    x, component = _head(validation.x, POINTS), _head(_as_colours(validation.label), POINTS)
    attributes = _head(validation.attributes, POINTS)
    panels = {"data": (x, component, 6.0)}
    if model.networks.encoder is not None:
        codes = inference.encode(model, x, attributes, key_noise)
        if _finite(codes):
            panels["codes"] = (codes, component, 4.0)
            panels["reconstructions"] = (inference.decode(model, codes, attributes), component, 6.0)
    panels["samples"] = (_samples(model, validation, key_z, POINTS), None, 6.0)
    return images.scatter_panels(panels)


def _as_colours(label: np.ndarray | None) -> np.ndarray | None:
    """Labels, where they are one number of each example; a game that reads none takes them of any kind."""
    return label if label is not None and label.ndim == 1 and label.dtype.kind in "biuf" else None


def _finite(codes: np.ndarray) -> bool:
    """Whether codes can be decoded; a run whose sigma overflows may come back, and is not stopped for it."""
    finite = bool(np.isfinite(codes).all())
    if not finite:
        logger.warning("No figure of codes and reconstructions: E gives validation images no finite codes.")
    return finite


def _samples(model: inference.Model, validation: data.Split, key: jax.Array, count: int) -> np.ndarray:
    """As many samples; of a conditional model one for each row of attributes, of which there may be fewer."""
    attributes = _head(validation.attributes, count)
    return inference.sample(model, key, count if attributes is None else len(attributes), attributes)


def _head(array: np.ndarray | None, count: int) -> np.ndarray | None:
    return None if array is None else np.asarray(array[:count])
