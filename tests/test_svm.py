import functools

import jax
import numpy as np
import pytest
from conftest import load_config
from sklearn.svm import LinearSVC

from ali_jax import build, data
from ali_jax.errors import UserError
from ali_jax.inference import passes
from experiments import svm
from experiments.common import features, l2svm, trained_runs


def feature_count(name, reduce):
    """Of one image, without computing it."""
    config = load_config(name)
    encoder = build.game(config).networks.encoder
    state = build.game(config).shapes
    variables = {"params": state.params.encoder, "batch_stats": state.batch_stats.encoder}
    run = functools.partial(passes._features, encoder, reduce)
    return jax.eval_shape(run, variables, np.zeros((1, *config.model.x_shape), np.uint8), None).shape


def test_both_readings_of_the_paper_have_its_number_of_features():
    assert feature_count("svhn", features.code) == (1, 5_376)
    assert feature_count("svhn", features.pooled) == (1, 8_960)


def test_other_encoders_have_fewer_or_dense_layers():
    assert feature_count("digits", features.code) == (1, 2 * 256 + 16)
    assert feature_count("digits", features.pooled) == (1, 2 * 256 + 16)
    assert feature_count("cifar10", features.pooled) == (1, 8_960 - 256 + 64)


@pytest.mark.parametrize(("size", "window", "stride"), [(28, 7, 7), (13, 4, 3), (10, 4, 2), (5, 2, 1)])
def test_pooling_takes_the_maximum_of_each_window(size, window, stride):
    h = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    found = np.asarray(features.pool(h))
    assert found.shape == (2, 4, 4, 3)
    for i, j in np.ndindex(4, 4):
        part = h[:, i * stride : i * stride + window, j * stride : j * stride + window]
        np.testing.assert_array_equal(found[:, i, j], part.max(axis=(1, 2)))
    assert found.max() == h.max()  # no pixel is outside every window


def test_small_layers_are_not_pooled():
    h = np.zeros((1, 4, 4, 2))
    assert features.pool(h) is h and features.pool(h[:, :1, :1]).shape == (1, 1, 1, 2)


def test_layers_are_ordered_by_number_and_the_head_is_left_out():
    layers = {f"layer_{i}": np.full((1, 1), i, np.float32) for i in range(1, 12)}
    layers["mu"] = np.full((1, 1), 99, np.float32)
    np.testing.assert_array_equal(features.code(layers), [[8, 9, 10, 99]])
    np.testing.assert_array_equal(features.pooled(layers), [[*range(1, 11), 99]])


def test_a_second_class_among_those_alone_that_choose_C_is_told():
    label = np.repeat([0, 1], [860, 140])
    with pytest.raises(UserError, match="all but the last 140, which choose C, are of one class"):
        svm.sizes(label, 0)
    assert svm.sizes(label[::-1], 0)["pool_examples"] == 860


def test_sizes_are_the_papers_for_svhn_and_scale_to_smaller_sets():
    assert l2svm.validation_size(73_257) == 10_000
    assert l2svm.validation_size(1_500) == 210
    np.testing.assert_allclose(l2svm.C_GRID[[0, -1]], [2.06e-9, 4.85e8], rtol=2e-3)
    assert len(l2svm.C_GRID) == 50


def test_draws_are_balanced_random_and_fresh():
    label = np.random.default_rng(0).integers(10, size=5_000)
    draws = l2svm.make_draws(label, seed=0)
    assert len(draws.validation) == 10 and len(draws.test) == 100
    for rows in (draws.search, *draws.validation, *draws.test):
        assert np.bincount(label[rows]).tolist() == [100] * 10
        assert len(set(rows.tolist())) == 1_000
    assert len({rows.tobytes() for rows in draws.test}) == 100
    again = l2svm.make_draws(label, seed=0)
    np.testing.assert_array_equal(again.test[-1], draws.test[-1])


def test_a_rare_class_shrinks_the_others():
    label = np.array([0] * 500 + [1] * 30)
    rows = l2svm.draw(label, 100, np.random.default_rng(0))
    assert np.bincount(label[rows]).tolist() == [30, 30]


def test_the_first_of_equal_cs_is_chosen_and_errors_are_summarised(monkeypatch):
    validation = l2svm.Examples(np.zeros((5, 2)), np.zeros(5))
    test = l2svm.Examples(np.zeros((7, 2)), np.zeros(7))
    pool = l2svm.Examples(np.zeros((300, 2)), np.arange(300) % 2)
    seen = iter(range(1000))

    def error(c, learn, judge):
        assert len(learn.x) == 200
        return next(seen) % 2 * 4.0 if judge is test else 9.0 - (c > 1e-3)

    monkeypatch.setattr(l2svm, "error", error)
    found = l2svm.evaluate(pool, validation, test, l2svm.make_draws(pool.label, seed=0))
    assert found["C"] == l2svm.C_GRID[l2svm.C_GRID > 1e-3][0]
    assert found["validation_error_percent"] == {"mean": 8.0, "std": 0.0}
    assert found["test_error_percent"] == {"mean": 2.0, "std": 2.0}  # the population's, of 0 and 4


@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")
@pytest.mark.parametrize(("classes", "dimension"), [(3, 200), (2, 200), (3, 10)])
def test_fits_are_those_of_linear_svc(classes, dimension):
    random = np.random.default_rng(0)
    label = np.arange(60) % classes
    x = random.normal(size=(60, dimension)) + label[:, None]
    for c in (1e-3, 1.0):
        plain = LinearSVC(C=c, dual=True, random_state=0).fit(x, label)
        found = l2svm.fit(c, l2svm.Examples(x, label))
        np.testing.assert_allclose(found.coef_, plain.coef_, rtol=1e-5, atol=1e-8)
        queries = random.normal(size=(50, dimension))
        np.testing.assert_array_equal(found.predict(queries), plain.predict(queries))


def test_separable_classes_are_separated_and_random_labels_are_not():
    random = np.random.default_rng(0)
    label = np.arange(200) % 2
    x = random.normal(size=(200, 3)) + 20 * label[:, None]
    learn, judge = l2svm.Examples(x[:100], label[:100]), l2svm.Examples(x[100:], label[100:])
    assert l2svm.error(1.0, learn, judge) == 0
    noise = judge._replace(label=random.integers(2, size=100))
    assert 25 < l2svm.error(1.0, learn, noise) < 75


def test_trained_encoder_and_controls_stand_in_one_table(run_program, tiny_workdir, monkeypatch):
    monkeypatch.setattr(l2svm, "C_GRID", np.array([0.01, 1.0]))
    monkeypatch.setattr(l2svm, "TEST_DRAWS", 3)
    monkeypatch.setattr(l2svm, "VALIDATION_DRAWS", 2)
    results, output = run_program(svm, workdir=str(tiny_workdir), sets=["code", "pixels", "untrained_code"])
    assert list(results["features"]) == ["code15", "pixels64", "untrained_code15"]
    assert results["steps"] == 12 and results["pool_examples"] + results["validation_examples"] == 1_500
    assert results["examples_per_draw"] == 1_000
    assert results["features"]["pixels64"]["test_error_percent"]["mean"] < 10
    trained, fresh = (
        results["features"][name]["test_error_percent"] for name in ("code15", "untrained_code15")
    )
    assert trained != fresh
    assert (output / "choice_of_C.pdf").exists()


def test_an_untrained_encoder_is_one_before_its_first_step(tiny_workdir):
    run = trained_runs.load(tiny_workdir)
    fresh = trained_runs.untrained(run.config)
    stats = fresh.batch_stats.encoder["stack"]["layer_1"]["norm"]
    assert not stats["mean"].any() and (stats["std"] == 1).all()
    assert fresh.step == 0 and run.model.step == 12
    kernels = [m.params.encoder["stack"]["layer_1"]["kernel"] for m in (fresh, run.model)]
    assert not np.allclose(*kernels, atol=1e-3)


def test_an_unknown_set_is_named(run_program, tiny_workdir):
    with pytest.raises(UserError, match="'codes'"):
        run_program(svm, workdir=str(tiny_workdir), sets=["codes"])
    with pytest.raises(UserError, match="choose --sets from"):
        run_program(svm, workdir=str(tiny_workdir), sets=[])
    with pytest.raises(UserError, match="too few to hold some out"):
        run_program(svm, workdir=str(tiny_workdir), train_split="train[:5]")


def test_the_last_training_examples_choose_C_and_the_others_teach(monkeypatch):
    """Features are the examples' own numbers, so that every row tells where it came from."""
    handed = []
    monkeypatch.setattr(l2svm, "evaluate", lambda *arguments: handed.append(arguments))
    train_split, test = (data.Split(np.arange(n)[:, None] + n, np.arange(n) % 2, None) for n in (1_000, 50))
    svm.evaluate(lambda split: split.x, train_split, test, 0, "")
    (pool, choose, judge, draws, _), held_out = handed[0], l2svm.validation_size(1_000)
    assert pool.x[:, 0].tolist() == list(range(1_000, 2_000 - held_out))
    assert choose.x[:, 0].tolist() == list(range(2_000 - held_out, 2_000))
    assert judge.x[:, 0].tolist() == list(range(50, 100))
    assert max(map(np.max, jax.tree.leaves(draws))) < len(pool.x)
