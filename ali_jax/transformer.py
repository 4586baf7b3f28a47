"""A trained encoder in scikit-learn's pipelines.

from ali_jax.transformer import EncoderFeatures

classifier = make_pipeline(EncoderFeatures("runs/digits"), StandardScaler(), LogisticRegression())
classifier.fit(images, labels)
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ali_jax import inference, pretrained
from ali_jax.errors import UserError
from ali_jax.inference import inputs
from ali_jax.pretrained import weights
from ali_jax.run.checkpoints import kept_steps


class EncoderFeatures(TransformerMixin, BaseEstimator):
    """Images -> features of a trained encoder. There is nothing to fit.

    Args:
      model: what `inference.load` takes: a workdir, a file or a name; or a model.
      layers: which of `inference.features`, one or several side by side: "mu", "layer_1" ...
    """

    def __init__(self, model: str | Path | inference.Model, layers: str | Sequence[str] = ("mu",)):
        self.model = model
        self.layers = layers

    def fit(self, X, y=None):
        """Learns nothing, but notes which model there is, by which `transform` then refuses another."""
        self.fitted_to_ = None if isinstance(self.model, inference.Model) else _load_newest(self.model)[1]
        return self

    def transform(self, X) -> np.ndarray:
        """uint8 images or floats in [0, 1], (N, H, W, C), (N, H W C) or, grey, (N, H, W) -> float32 (N, F).

        Also a list of images of Pillow's.

        Raises:
          UserError: there is no such layer, or X holds no images, or others.
        """
        model = self._model()
        shape = tuple(inputs.of_rows(model, "x_shape"))
        x = inputs.numbers(inputs.without_pil(X, shape), "X")
        grey = shape[:2] if shape[2:] == (1,) else shape
        if x.shape[1:] not in (shape, grey, (int(np.prod(shape)),)):
            raise UserError(
                f"Images of shape {x.shape[1:]} are not of the model's shape {shape}, nor such laid out in a "
                "row; resize them, and put channels last."
            )
        return inference.features(model, x.reshape(len(x), *shape), reduce=_Chosen(self._layers()))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """(F,) of "mu_0", "mu_1" ...: the layer of each feature, and its place in it."""
        model = self._model()
        layers = inference.features(model, np.zeros((1, *inputs.of_rows(model, "x_shape")), np.uint8))
        chosen = _Chosen(self._layers()).of(layers)
        return np.array([f"{name}_{n}" for name, x in chosen for n in range(x.size)], dtype=object)

    def _model(self) -> inference.Model:
        model = self.model
        if not isinstance(model, inference.Model):
            model, checksum = _load_newest(model)
            if getattr(self, "fitted_to_", None) not in (None, checksum):
                raise UserError(
                    f"{self.model} holds another model than when this was fitted, as of a run that went on; "
                    "fit again, or pass a model that is loaded, by inference.load."
                )
        if inputs.is_conditional(model):
            raise UserError("The model is conditional, and no attributes come here; use inference.features.")
        return model

    def _layers(self) -> tuple[str, ...]:
        layers = (self.layers,) if isinstance(self.layers, str) else self.layers
        if not isinstance(layers, list | tuple) or not all(isinstance(name, str) for name in layers):
            raise UserError(f"layers is {self.layers!r}; name one, as 'mu', or several in a list.")
        return tuple(layers)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class _Chosen(tuple):
    """Layers by name -> those chosen, side by side; equal to another of the same, for jit."""

    def __call__(self, layers):
        return jnp.concatenate([x.reshape(len(x), -1) for _, x in self.of(layers)], axis=1)

    def of(self, layers):
        """(name, layer) of each; a UserError where there is no such layer."""
        for name in self or ("",):
            if name not in layers:
                raise UserError(f"The encoder has no layer {name!r}; choose of {', '.join(layers)}.")
        return [(name, layers[name]) for name in self]


def _load_newest(source: str | Path) -> tuple[inference.Model, str]:
    path = pretrained.find(source)
    # The config's time too: a workdir may have been removed and trained anew, to the same steps.
    of_run = path / "config.json"
    steps = tuple(kept_steps(path)) if path.is_dir() else ()
    return _load(path, (steps, (of_run if of_run.exists() else path).stat().st_mtime_ns))


@functools.lru_cache(maxsize=4)
def _load(path: Path, state: object) -> tuple[inference.Model, str]:
    """The model of a path and its checksum, kept while its `state` is the same: a run may go on meanwhile."""
    model = inference.load(path)
    return model, weights.checksum(weights.flatten(model.params, model.batch_stats, ("encoder",)))
