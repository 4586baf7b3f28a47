"""The outlier detector: what it promises users, and scikit-learn."""

import json
import os
import pickle
import re
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from ali_jax.anomaly import SCORES, Detector, members, networks, scaling
from ali_jax.errors import UserError

PAGE = Path(__file__).parent.parent.parent / "docs" / "anomaly.md"
SMALL = {"members": 2, "steps": 60, "width": 16, "latent_dim": 2, "random_state": 0}


def make_table(rows: int = 200) -> np.ndarray:
    """Three columns, of units far apart, near a line, and a constant one: (rows, 4)."""
    random = np.random.default_rng(0)
    along = random.normal(size=(rows, 1))
    return (along + 0.1 * random.normal(size=(rows, 4))) * [1, 1e4, 1e-3, 0] + [0, 1e5, 0, 7]


TABLE = make_table()
OFF_THE_LINE = TABLE[:40] * [-1, 1, 1, 1] + [8, 0, 0, 0]


@pytest.fixture(scope="module")
def fitted():
    return Detector(**SMALL).fit(TABLE)


@pytest.fixture(scope="module")
def of_images():
    images = np.random.default_rng(0).integers(0, 99, (60, 5, 4), dtype=np.uint8)
    return Detector(**SMALL).fit(images), images


def test_what_is_off_the_line_is_strange():
    fitted = Detector(**SMALL | {"steps": 600, "width": 64}).fit(TABLE)  # enough to learn the line
    score = np.concatenate([fitted.score_samples(TABLE), fitted.score_samples(OFF_THE_LINE)])
    assert roc_auc_score(np.repeat([1, 0], [len(TABLE), len(OFF_THE_LINE)]), score) > 0.95
    assert np.mean(fitted.predict(OFF_THE_LINE) == -1) > 0.9
    assert np.mean(fitted.predict(TABLE) == -1) < 0.15


def test_threshold_and_decision_agree(fitted):
    score = fitted.score_samples(TABLE)
    np.testing.assert_array_equal(fitted.decision_function(TABLE), score - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(TABLE), np.where(score >= fitted.offset_, 1, -1))


def test_contamination_is_the_share_of_fitted_rows_called_outliers():
    flagged = Detector(**SMALL, contamination=0.2).fit_predict(TABLE)
    assert np.sum(flagged == -1) == 40


def test_told_of_contamination_it_leaves_out_the_strangest(monkeypatch):
    """Twice the share, at most half; what is far in one column is among them."""
    seen, fit_to = [], Detector._fit_to
    monkeypatch.setattr(Detector, "_fit_to", lambda self, x: (seen.append(x), fit_to(self, x))[1])
    far = TABLE[:20] * [1, -50, 1, 1]
    for share, left in ((0.1, 176), (0.4, 110)):
        seen.clear()
        fitted = Detector(**SMALL, contamination=share).fit(np.concatenate([TABLE, far]))
        assert [len(x) for x in seen] == [left]
        assert np.mean(np.isin(far[:, 1], seen[0][:, 1])) < 0.2  # at random, half or more would stay
        np.testing.assert_array_equal(fitted.scaling_.centre, scaling.columns(seen[0]).centre)


def test_told_of_contamination_it_judges_images_by_a_first_training(of_images, monkeypatch):
    seen, fit_to = [], Detector._fit_to
    monkeypatch.setattr(Detector, "_fit_to", lambda self, x: (seen.append(x), fit_to(self, x))[1])
    Detector(**SMALL, contamination=0.1).fit(of_images[1])
    assert [len(x) for x in seen] == [60, 48]


def test_the_same_state_gives_the_same_detector(fitted):
    again = clone(fitted).fit(TABLE)
    np.testing.assert_array_equal(again.score_samples(TABLE), fitted.score_samples(TABLE))
    other = clone(fitted).set_params(random_state=1).fit(TABLE)
    assert not np.allclose(other.score_samples(TABLE), fitted.score_samples(TABLE))


def test_another_measure_asks_for_another_fit(tmp_path):
    """As in scikit-learn: what is set after a fit changes nothing of it."""
    fitted = Detector(**SMALL, measure="l1").fit(TABLE)
    score, told = fitted.score_samples(TABLE), fitted.predict(TABLE)
    fitted.set_params(measure="divergence").save(tmp_path / "detector.npz")
    for detector in (fitted, Detector.load(tmp_path / "detector.npz")):
        np.testing.assert_array_equal(detector.score_samples(TABLE), score)
        np.testing.assert_array_equal(detector.predict(TABLE), told)


def test_what_is_said_of_a_row_does_not_depend_on_the_others(fitted):
    one_by_one = np.concatenate([fitted.score_samples(TABLE[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(one_by_one, fitted.score_samples(TABLE)[:5], rtol=1e-9)


def test_units_of_the_columns_do_not_matter(fitted):
    in_other_units = clone(fitted).fit(TABLE * 1000)
    found = in_other_units.score_samples(TABLE * 1000)
    assert np.corrcoef(found, fitted.score_samples(TABLE))[0, 1] > 0.9


def test_it_comes_back_from_a_pickle_and_from_a_file(fitted, of_images, tmp_path):
    for detector, x in ((fitted, TABLE), of_images):
        path = tmp_path / "detector.npz"
        detector.save(path)
        for again in (pickle.loads(pickle.dumps(detector)), Detector.load(path)):
            np.testing.assert_array_equal(again.predict(x), detector.predict(x))
            np.testing.assert_array_equal(again.score_samples(x), detector.score_samples(x))
            assert again.get_params() == detector.get_params()


def test_a_random_state_of_numpy_is_kept(tmp_path):
    detector = Detector(**SMALL | {"random_state": np.int64(7)}).fit(TABLE)
    detector.save(tmp_path / "detector.npz")
    assert Detector.load(tmp_path / "detector.npz").random_state == 7


def test_ctrl_c_at_the_last_look_of_a_member_stops_the_fit(monkeypatch):
    """Its training is done, and nothing is left to be stopped of it, but the other members are."""
    detector = Detector(**SMALL).fit(TABLE[:30])
    save, sent = members.Best.save, []

    def interrupted(best, step, state):
        save(best, step, state)
        if step == SMALL["steps"] and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGINT))

    monkeypatch.setattr(members.Best, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(TABLE)
    assert sent
    with pytest.raises(NotFittedError):  # not a detector of one fit's members and another's scaling
        detector.score_samples(TABLE)


def test_after_a_fit_that_was_refused_nothing_is_fitted():
    detector = Detector(**SMALL)
    with pytest.raises(UserError):
        detector.fit([[np.nan, 1.0], [1.0, 2.0]])
    for call in (detector.predict, detector.reconstruct):
        with pytest.raises(NotFittedError):
            call([[0.0, 1.0]])


def test_a_file_that_is_no_detector_is_named(fitted, tmp_path):
    (tmp_path / "text").write_text("no detector")
    np.savez(tmp_path / "other.npz", about=json.dumps({"format": 99}))
    for name in ("text", "other.npz", "nowhere"):
        with pytest.raises(UserError, match=f"{name} cannot be read as a detector"):
            Detector.load(tmp_path / name)
    with pytest.raises(UserError, match="cannot be written"):
        fitted.save("/dev/null/detector")


@pytest.mark.parametrize(("said", "value"), [("measure", "loss"), ("steps", []), ("offset", float("nan"))])
def test_a_file_that_says_what_cannot_be_is_named(fitted, tmp_path, said, value):
    fitted.save(tmp_path / "fitted.npz")
    arrays = dict(np.load(tmp_path / "fitted.npz"))
    arrays["about"] = json.dumps(json.loads(str(arrays["about"])) | {said: value})
    np.savez(tmp_path / "fitted.npz", **arrays)
    with pytest.raises(UserError, match=r"cannot be read as a detector \(its measure, members or threshold"):
        Detector.load(tmp_path / "fitted.npz")


def test_images_of_both_kinds_are_the_same_to_it(of_images):
    detector, images = of_images
    assert detector.shape_ == (5, 4, 1) and detector.n_features_in_ == 20
    np.testing.assert_allclose(
        detector.score_samples(images[..., None] / 255), detector.score_samples(images), rtol=1e-4, atol=1e-4
    )
    white = np.full((5, 5, 4), 255, np.uint8)
    assert detector.score_samples(white).max() < np.median(detector.score_samples(images))
    assert detector.reconstruct(images).shape == (60, 5, 4, 1)


def test_rows_are_reconstructed_in_their_units(fitted):
    made = fitted.reconstruct(TABLE)
    assert made.shape == TABLE.shape
    assert abs(np.mean(made[:, 1]) - np.mean(TABLE[:, 1])) < np.std(TABLE[:, 1])


def test_fitted_rows_are_asked_where_the_measure_asks_for_them(fitted, of_images):
    assert fitted.neighbours_ is not None and of_images[0].neighbours_ is None
    alone = clone(fitted)
    alone.__dict__.update({**fitted.__dict__, "neighbours_": None})
    added = alone.score_samples(OFF_THE_LINE) - fitted.score_samples(OFF_THE_LINE)
    of_rows = fitted.neighbours_.strangeness(fitted.scaling_.apply(OFF_THE_LINE))
    assert of_rows.min() > 0
    np.testing.assert_allclose(added, of_rows, rtol=1e-6)


@pytest.mark.parametrize("measure", [name for name in SCORES if name not in ("features", "logits")])
def test_every_measure_that_needs_no_twins_is_an_argument(fitted, measure):
    score = clone(fitted)  # as it is, but for the measure
    score.__dict__.update({**fitted.__dict__, "measure_": measure})
    found = score.score_samples(TABLE)
    assert found.shape == (len(TABLE),) and np.isfinite(found).all() and np.std(found) > 0


def test_the_default_measure_is_by_the_shape_of_examples(fitted, of_images):
    for (detector, x), name in (((fitted, TABLE), "neighbour"), (of_images, "bound")):
        chosen = clone(detector)
        chosen.__dict__.update({**detector.__dict__, "measure_": name})
        np.testing.assert_array_equal(detector.score_samples(x), chosen.score_samples(x))


def test_alads_measures_train_its_discriminators():
    detector = Detector(**SMALL, measure="features").fit(TABLE)
    assert "xx_stack" in detector.members_[0].params.discriminator
    assert np.std(detector.score_samples(TABLE)) > 0
    logits = Detector(**SMALL, measure="logits").fit(TABLE)  # the same game, another score of it
    assert np.std(logits.score_samples(TABLE)) > 0
    assert detector.measure_ == "features"


def test_it_works_within_a_pipeline_a_cross_validation_and_another_thread():
    labels = np.where(np.arange(240) < 200, 1, -1)
    both = np.concatenate([TABLE, OFF_THE_LINE])
    pipeline = make_pipeline(StandardScaler(), Detector(**SMALL))

    def area(estimator, x, y):
        return roc_auc_score(y, estimator.score_samples(x))

    folds = StratifiedKFold(2)
    assert np.all(cross_val_score(pipeline, both, labels, scoring=area, cv=folds) > 0.5)
    found = []
    thread = threading.Thread(target=lambda: found.append(Detector(**SMALL).fit(TABLE).predict(TABLE)))
    thread.start()
    thread.join()
    assert len(found) == 1


def test_another_value_in_a_constant_column_is_strange(fitted):
    changed = TABLE + [0, 0, 0, 5]
    assert np.mean(fitted.score_samples(changed) < fitted.score_samples(TABLE)) > 0.9


def test_images_unlike_any_that_were_fitted_are_the_strangest():
    """A fixed camera's images hardly differ: others are so far off that networks overflow."""
    random = np.random.default_rng(0)
    scene = random.integers(40, 216, (16, 16))
    flicker = (random.uniform(size=(120, 16, 16)) < 0.02) * random.choice([-1, 1], (120, 16, 16))
    shots = np.uint8(scene + flicker)
    others = np.uint8([np.full((16, 16), 255), 0 * scene, 255 - scene, random.integers(0, 256, (16, 16))])
    detector = Detector(members=1, steps=300, random_state=0).fit(shots[:100])
    normal, strange = detector.score_samples(shots[100:]), detector.score_samples(others)
    assert np.isfinite(normal).all() and np.isfinite(strange).all() and strange.max() < normal.min()
    assert (detector.predict(others) == -1).all()


def test_what_networks_have_no_number_for_is_the_strangest(of_images, monkeypatch):
    detector, images = of_images
    found = iter(np.float64([[1, np.nan], [3, np.inf]]))
    monkeypatch.setitem(SCORES, detector.measure_, lambda evidence, reference: next(found))
    np.testing.assert_array_equal(detector.score_samples(images[:2]), [-2, -1e100])


def test_a_fitted_row_scores_the_same_after_rounding(fitted):
    as_written = TABLE.astype(np.float32)
    np.testing.assert_allclose(fitted.score_samples(as_written), fitted.score_samples(TABLE), atol=0.01)


def test_few_rows_work():
    assert set(Detector(**SMALL).fit(TABLE[:2]).predict(TABLE[:2])) <= {-1, 1}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"measure": "loss"}, "no measure 'loss'"),
        ({"measure": np.array(["l1", "l2"])}, "no measure array"),
        ({"contamination": 0.9}, "contamination is 0.9"),
        ({"contamination": "some"}, "contamination is 'some'"),
        ({"contamination": np.array([0.1, 0.2])}, "contamination is array"),
        ({"random_state": "a"}, "random_state is 'a'"),
        ({"random_state": -1}, "random_state is -1"),
        ({"members": 0}, "members is 0"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"width": None}, "width is None"),
    ],
)
def test_a_wrong_parameter_is_named(settings, words):
    with pytest.raises(UserError, match=words):
        Detector(**settings).fit(TABLE)


def test_the_code_of_the_page_ranks_the_strange_first(monkeypatch):
    """As printed, but for the number of steps."""
    monkeypatch.setattr(networks, "LENGTHS", ((0, 60),))
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    scope: dict = {}
    exec(code, scope)
    strange = np.arange(len(scope["new"])) >= len(scope["normal"]) - 250
    assert np.mean(strange[scope["strangest_first"][:50]]) > 0.9


@pytest.mark.slow
def test_scikit_learns_own_checks():
    """Twenty seconds: each of its shapes of data compiles a game."""
    check_estimator(Detector(members=1, steps=20, width=8))


def test_sizes_may_be_numpys_as_a_grid_of_parameters_has_them(fitted):
    numpys = Detector(**{name: np.int64(size) for name, size in SMALL.items()}).fit(TABLE)
    np.testing.assert_array_equal(numpys.score_samples(TABLE), fitted.score_samples(TABLE))
