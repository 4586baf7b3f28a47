"""A trained encoder in scikit-learn's pipelines."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ali_jax import data, inference
from ali_jax.errors import UserError
from ali_jax.transformer import EncoderFeatures


def test_an_encoder_is_a_step_of_a_pipeline(tiny_workdir):
    model, (x, label, _) = inference.load(tiny_workdir), data.take(data.load("digits", "test"), slice(50))
    features = EncoderFeatures(str(tiny_workdir))
    np.testing.assert_array_equal(features.transform(x), inference.encode(model, x))
    flat = clone(features).fit(x, label).transform(x.reshape(50, 64))
    np.testing.assert_array_equal(flat, inference.encode(model, x))
    np.testing.assert_array_equal(features.transform(x[..., 0]), flat)
    both = EncoderFeatures(model, layers=("layer_1", "mu")).transform(x)
    assert both.shape == (50, 12 + 3)
    np.testing.assert_array_equal(both[:, 12:], inference.encode(model, x))
    np.testing.assert_array_equal(EncoderFeatures(model, layers="layer_1").transform(x), both[:, :12])
    classifier = make_pipeline(EncoderFeatures(tiny_workdir, layers=("layer_1",)), LogisticRegression())
    assert classifier.fit(x, label).score(x, label) > 0.5


def test_images_of_pillow_are_taken_by_their_colours(tiny_workdir):
    x = data.take(data.load("digits", "test"), slice(5)).x[..., 0]
    palettes = [Image.fromarray(each).convert("RGB").quantize(256) for each in x]
    model = inference.load(tiny_workdir)
    made = EncoderFeatures(model).transform(palettes)
    np.testing.assert_array_equal(made, inference.encode(model, palettes))
    np.testing.assert_array_equal(
        EncoderFeatures(model).transform([Image.fromarray(each) for each in x]), inference.encode(model, x)
    )


def test_it_is_the_model_that_is_there_now(tiny_workdir, tmp_path, monkeypatch):
    load = inference.load
    x = data.load("digits", "test").x[:5]
    workdir = shutil.copytree(tiny_workdir, tmp_path / "run")
    features = EncoderFeatures(workdir)
    newest = features.transform(x)
    shutil.rmtree(workdir / "checkpoints" / "12")
    earlier = features.transform(x)
    np.testing.assert_array_equal(earlier, inference.encode(inference.load(workdir), x))
    assert not np.array_equal(earlier, newest)
    loaded = []
    monkeypatch.setattr(inference, "load", lambda path: loaded.append(path) or load(path))
    features.transform(x)
    assert not loaded
    os.utime(workdir / "config.json")  # as of a run that was removed and trained anew, to the same steps
    features.transform(x)
    assert loaded == [workdir]


def test_what_was_fitted_takes_no_other_model(tiny_workdir, tmp_path):
    x = data.load("digits", "test").x[:5]
    workdir = shutil.copytree(tiny_workdir, tmp_path / "run")
    features = EncoderFeatures(workdir).fit(x)
    fitted = features.transform(x)
    os.utime(workdir / "config.json")  # the same model, as in a copy
    np.testing.assert_array_equal(features.transform(x), fitted)
    shutil.rmtree(workdir / "checkpoints" / "12")
    with pytest.raises(UserError, match="holds another model than when this was fitted"):
        features.transform(x)
    assert not np.array_equal(features.fit(x).transform(x), fitted)


@pytest.mark.parametrize(
    ("layers", "shape", "words"),
    [
        (("nu",), (2, 8, 8, 1), "no layer 'nu'; choose of layer_1"),
        ((), (2, 8, 8, 1), "no layer ''; choose of layer_1"),
        (None, (2, 8, 8, 1), "layers is None; name one"),
        ([["mu"]], (2, 8, 8, 1), "layers is .*; name one"),
        (("mu",), (2, 9), "8, 8, 1"),
        (("mu",), (2, 1, 8, 8), "put channels last"),
        (("mu",), (0, 8, 8, 1), "no examples"),
    ],
)
def test_what_an_encoder_cannot_give_is_told(tiny_workdir, layers, shape, words):
    with pytest.raises(UserError, match=words):
        EncoderFeatures(tiny_workdir, layers).transform(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([[1], [1, 2]], "X makes no array"),
        (None, "X is no array of examples, but NoneType"),
        (np.full((2, 64), "1"), "X holds values of type <U1"),
    ],
)
def test_what_is_no_array_of_numbers_is_told(tiny_workdir, x, words):
    with pytest.raises(UserError, match=words):
        EncoderFeatures(tiny_workdir).transform(x)


def test_features_have_names_by_which_pandas_knows_them(tiny_workdir):
    step = EncoderFeatures(tiny_workdir, ["layer_1", "mu"])
    names, count = step.get_feature_names_out(), step.transform(data.load("digits", "test").x[:2]).shape[1]
    latent_dim = inference.load(tiny_workdir).networks.generator.latent_dim
    assert len(names) == count and [*names[-latent_dim:]] == [f"mu_{n}" for n in range(latent_dim)]
    assert names[0] == "layer_1_0"
    with pytest.raises(UserError, match="no layer 'nu'"):
        EncoderFeatures(tiny_workdir, "nu").get_feature_names_out()
    pytest.importorskip("pandas")
    frame = step.set_output(transform="pandas").fit_transform(data.load("digits", "test").x[:2])
    assert [*frame.columns] == [*names]
