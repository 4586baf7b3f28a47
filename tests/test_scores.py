import numpy as np
import pytest
from conftest import load_config

from ali_jax.errors import UserError
from ali_jax.run.workdirs import claim
from experiments import scores
from experiments.common import distances, inception


def gaussian(seed, count=400, mean=(0, 0, 0), scale=(1, 1, 1)):
    return np.random.default_rng(seed).normal(size=(count, 3)) * scale + mean


def with_moments(mean, std):
    """Points along the axes with exactly this mean and these standard deviations."""
    n, std = len(std), np.asarray(std)
    axes = np.concatenate([np.eye(n), -np.eye(n)]) * np.sqrt((2 * n - 1) / 2)
    return axes * std + np.asarray(mean)


def test_frechet_distance_of_two_gaussians_by_hand():
    """Diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2."""
    real, generated = with_moments([0, 0], [1, 2]), with_moments([3, 4], [2, 0.5])
    np.testing.assert_allclose(np.cov(real, rowvar=False), np.diag([1, 4]), atol=1e-12)
    assert distances.frechet(real, generated) == pytest.approx(25 + 1 + 2.25)


def test_frechet_distance_of_covariances_that_do_not_commute():
    """Against the matrix root of scipy."""
    from scipy.linalg import sqrtm

    real = gaussian(0) @ np.array([[1, 2, 0], [0, 1, 1], [0, 0, 1]])
    generated = gaussian(1) @ np.array([[1, 0, 0], [3, 1, 0], [0, 1, 2]])
    cov1, cov2 = (np.cov(x, rowvar=False) for x in (real, generated))
    mean = np.sum((real.mean(axis=0) - generated.mean(axis=0)) ** 2)
    expected = mean + np.trace(cov1 + cov2 - 2 * sqrtm(cov1 @ cov2).real)
    assert distances.frechet(real, generated) == pytest.approx(expected)
    assert distances.frechet(generated, real) == pytest.approx(expected)


def test_frechet_distance_of_a_set_to_itself_is_zero_even_without_full_rank():
    flat = np.pad(gaussian(0, count=3), [(0, 0), (0, 4)])
    assert distances.frechet(flat, flat) == pytest.approx(0, abs=1e-6)


def test_kernel_distance_against_plain_loops():
    x, y = gaussian(0, count=6), gaussian(1, count=6)

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    within = sum(k(s[i], s[j]) for s in (x, y) for i in range(6) for j in range(6) if i != j) / 30
    between = sum(k(a, b) for a in x for b in y) / 36
    assert distances.mmd2(x, y) == pytest.approx(within - 2 * between)


def test_kernel_distance_is_unbiased_and_sees_a_shift():
    same, shifted = (distances.kernel(gaussian(0), gaussian(1, mean=(m, 0, 0))) for m in (0, 1))
    assert abs(same["mean"]) < shifted["mean"] / 10 and shifted["std"] < shifted["mean"] / 2
    values = [distances.mmd2(gaussian(i, 20), gaussian(1000 + i, 20)) for i in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)


def manifolds_by_loops(real, generated, k):
    def distance(a, b):
        return float(np.sqrt(np.sum((a - b) ** 2)))

    def radii(x):
        return [sorted(distance(a, b) for j, b in enumerate(x) if j != i)[k - 1] for i, a in enumerate(x)]

    real_radius, generated_radius = radii(real), radii(generated)
    inside = [
        [distance(r, g) < radius for r, radius in zip(real, real_radius, strict=True)] for g in generated
    ]
    recalled = [
        any(distance(r, g) < radius for g, radius in zip(generated, generated_radius, strict=True))
        for r in real
    ]
    return {
        "precision": np.mean([any(row) for row in inside]),
        "recall": np.mean(recalled),
        "density": np.mean([sum(row) / k for row in inside]),
        "coverage": np.mean(np.any(inside, axis=0)),
    }


@pytest.mark.parametrize("k", [1, 3])
def test_manifold_scores_against_plain_loops(k, monkeypatch):
    import sklearn

    real, generated = gaussian(0, 50), gaussian(1, 70, mean=(1, 0, 0), scale=(2, 1, 0.5))
    expected = manifolds_by_loops(real, generated, k)
    assert all(0 < value < 1.5 for value in expected.values()) and len({*expected.values()}) == 4
    assert distances.manifolds(real, generated, k) == pytest.approx(expected)
    with sklearn.config_context(working_memory=1e-3):  # chunks of a few rows
        assert distances.manifolds(real, generated, k) == pytest.approx(expected)


def test_manifold_scores_of_sets_far_apart_and_of_collapsed_samples():
    far = distances.manifolds(gaussian(0), gaussian(1, mean=(100, 0, 0)))
    assert set(far.values()) == {0.0}
    collapsed = distances.manifolds(gaussian(0), gaussian(1, scale=(1e-3, 1e-3, 1e-3)))
    assert collapsed["precision"] == 1 and collapsed["recall"] < 0.1 and collapsed["coverage"] < 0.2


@pytest.mark.parametrize(("kind", "name"), [("encoder", "encoder_mu"), ("pixels", "pixels")])
def test_every_score_names_its_features(kind, name, run_program, tiny_workdir):
    results, output = run_program(scores, workdir=str(tiny_workdir), features=kind, examples=200)
    assert {p.name for p in output.iterdir()} == {"manifolds.png", "manifolds.pdf", "results.json"}
    assert results["examples_of_each"] == 200 and results["steps"] == 12 and results["features"] == name
    for source in ("samples", "training_images", "untrained_generator"):
        assert len(results[source]) == 6 and all(key.endswith(f"_{name}") for key in results[source])
    # Real images are closer to real images than a generator after 12 steps.
    frechet = {
        source: results[source][f"frechet_distance_{name}"] for source in ("samples", "training_images")
    }
    assert frechet["training_images"] < frechet["samples"]
    if kind == "pixels":
        assert results["training_images"]["coverage_pixels"] > 0.8
        # It makes the mean image again and again.
        assert results["untrained_generator"]["recall_pixels"] == 0
        assert results["untrained_generator"]["coverage_pixels"] < 0.4


def test_what_cannot_be_scored_is_named(run_program, tiny_workdir, tmp_path):
    with pytest.raises(UserError, match="too few"):
        run_program(scores, workdir=str(tiny_workdir), examples=4)
    claim(tmp_path / "gan", load_config("mixture", "gan"))
    with pytest.raises(UserError, match="plain GAN"):
        run_program(scores, workdir=str(tmp_path / "gan"))
    with pytest.raises(UserError, match="not a file"):
        run_program(scores, workdir=str(tiny_workdir), features="inception", inception_weights="none.h5")


def test_weights_that_would_not_be_read_are_refused(in_process):
    with pytest.raises(
        UserError, match="--inception_weights is of --features=inception, not of --features=p"
    ):
        in_process(scores, "--workdir=runs/a", "--features=pixels", "--inception_weights=w.h5")


def test_weights_that_cannot_be_had_are_one_sentence(tmp_path, monkeypatch):
    tf = pytest.importorskip("tensorflow")

    def fails(**settings):
        raise OSError("no route to host\nand a trace")

    monkeypatch.setattr(tf.keras.applications, "InceptionV3", fails)
    with pytest.raises(UserError, match=r"downloaded \(no route to host\); pass --inception_weights"):
        inception.load(None)


def test_inception_sees_rgb_of_its_own_size_and_range(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    seen = []

    class Network:
        def predict_on_batch(self, x):
            seen.append(x)
            return np.stack([x.mean(axis=(1, 2, 3)), x.max(axis=(1, 2, 3))], axis=1)

    monkeypatch.setattr(tf.keras.applications, "InceptionV3", lambda **settings: Network())
    monkeypatch.setattr(inception, "CHUNK", 2)
    extract = inception.load(None)
    x = np.stack([np.full((8, 8, 1), value, np.uint8) for value in (0, 51, 255)])
    found = extract(x)
    np.testing.assert_allclose(found, [[-1, -1], [-0.6, -0.6], [1, 1]], atol=1e-5)
    assert [batch.shape for batch in seen] == [(2, 299, 299, 3), (1, 299, 299, 3)]
    np.testing.assert_allclose(extract(x / np.float32(255)), found, atol=1e-5)
