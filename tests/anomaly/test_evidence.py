"""What a member says of examples, beside what `inference` and NumPy say of them."""

import jax
import numpy as np
import pytest
from helpers import untrained

from ali_jax import inference
from ali_jax.anomaly import evidence, networks


@pytest.fixture(scope="module")
def said():
    """(model, x, its evidence) of networks with twins, moved from where they start, so that nothing is 0."""
    random = np.random.default_rng(0)
    x = random.normal(size=(7, 5)).astype(np.float32)
    model = untrained(networks.config(networks.plan(5, 200, latent_dim=3, width=8, twins=True)), x=x)
    params = jax.tree.map(lambda p: p + 0.3 * random.normal(size=p.shape).astype(np.float32), model.params)
    model = model._replace(params=params)
    (found,) = evidence.chunks(model, x)
    return model, x, found


def mean_and_log_sigma(model, x):
    """E's last layer, which is both side by side."""
    *_, last = [name for name in inference.features(model, x) if name.startswith("layer_")]
    return np.split(inference.features(model, x)[last], 2, axis=1)


def test_codes_and_residuals_are_of_the_mean(said):
    model, x, found = said
    mu, log_sigma = mean_and_log_sigma(model, x)
    np.testing.assert_allclose(found.mu, mu, atol=1e-5)
    np.testing.assert_allclose(found.mu, inference.encode(model, x), atol=1e-5)
    np.testing.assert_allclose(found.residual, x - inference.reconstruct(model, x), atol=1e-5)
    wanted = (np.square(mu) + np.exp(2 * log_sigma) - 1 - 2 * log_sigma).sum(axis=1) / 2
    np.testing.assert_allclose(found.divergence, wanted, rtol=1e-4)
    assert np.abs(log_sigma).max() > 0.1


def test_the_error_is_a_mean_over_opposite_draws(said):
    model, x, found = said
    mu, log_sigma = mean_and_log_sigma(model, x)
    noise = evidence._noise(mu.shape[1])
    assert noise.shape == (8, 3) and noise.std() > 0.5
    np.testing.assert_array_equal(noise[:4], -noise[4:])
    draws = [inference.decode(model, mu + np.exp(log_sigma) * one) for one in noise]
    wanted = np.mean([np.square(x - draw).sum(axis=1) for draw in draws], axis=0)
    np.testing.assert_allclose(found.error, wanted, rtol=1e-4)


def test_d_judges_the_pair_and_how_far_it_moves(said):
    model, x, found = said
    mu, x_hat = inference.encode(model, x), inference.reconstruct(model, x)
    pair, moved = inference.judge(model, x, mu), inference.judge(model, x_hat, mu)
    np.testing.assert_allclose(found.joint, pair.score, atol=1e-4)
    np.testing.assert_allclose(found.moved, np.abs(pair.hidden - moved.hidden).sum(axis=1), atol=1e-4)
    like, same = inference.compare(model, x, x_hat), inference.compare(model, x, x)
    np.testing.assert_allclose(found.twins, like.score, atol=1e-4)
    np.testing.assert_allclose(found.twins_moved, np.abs(like.hidden - same.hidden).sum(axis=1), atol=1e-4)
    assert min(np.ptp(values) for values in (found.joint, found.moved, found.twins, found.twins_moved)) > 0.01


def test_what_is_said_of_an_example_does_not_depend_on_how_many_there_are(said, monkeypatch):
    model, x, found = said
    monkeypatch.setattr(evidence, "CHUNK", 4)
    parts = [*evidence.chunks(model, x)]
    assert [len(part.mu) for part in parts] == [4, 3]
    for name, values in found._asdict().items():
        np.testing.assert_allclose(np.concatenate([getattr(part, name) for part in parts]), values, atol=1e-4)
