import json
import shutil

import jax
import numpy as np
import pytest
from conftest import load_config, make_tiny_config
from helpers import assert_same

from ali_jax import build, data, examples, inference, train
from ali_jax import config as config_lib
from ali_jax.data import labels
from ali_jax.data.labels import labelled_rows
from ali_jax.errors import UserError
from ali_jax.models.rows import dense
from ali_jax.run.workdirs import check_same_run, to_json


def make_semi_config(game="ali"):
    """The tiny run as a game with 20 labels, 8 of the 24 examples of a batch labelled."""
    config = make_tiny_config()
    config_lib.make_semi_supervised(config, game, num_classes=10, labelled=8, unlabelled=16)
    config.num_labels = 20
    config.average_rate = 0.1
    return config


@pytest.fixture
def semi_config():
    return make_semi_config()


@pytest.fixture(scope="module")
def semi_run(tmp_path_factory):
    """(workdir, state at the end) of a run of that; not to be written to."""
    workdir = tmp_path_factory.mktemp("runs") / "semi"
    return workdir, train.train_and_evaluate(make_semi_config(), workdir)


def test_no_other_label_and_no_held_out_example_reaches_the_parameters(
    tmp_path, semi_config, semi_run, monkeypatch
):
    true_splits = examples.load_splits(semi_config)
    train_split = true_splits["train"]
    rows = labelled_rows(train_split.label, semi_config.num_labels, semi_config.label_seed)
    # The draw itself must look at labels, to be balanced; from there on none but the drawn ones may count.
    monkeypatch.setattr(labels, "labelled_rows", lambda *arguments: rows)
    outside = np.setdiff1d(np.arange(len(train_split.label)), rows)
    permuted = train_split.label.copy()
    permuted[outside] = permuted[np.random.default_rng(0).permutation(outside)]
    assert (permuted != train_split.label).mean() > 0.5
    # Nor do the examples held out, which only evaluation reads.
    splits = {role: data.Split(s.x[::-1], s.label * 0, None) for role, s in true_splits.items()}
    splits["train"] = train_split._replace(label=permuted)
    assert_same(semi_run[1], train.train_and_evaluate(semi_config, tmp_path, splits))


def test_a_run_measures_its_errors_and_names_its_labelled_examples(semi_config, semi_run):
    workdir, state = semi_run
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    errors = [line for line in lines if "test_error" in line]
    assert [line["step"] for line in errors] == [6, 12]
    splits = examples.load_splits(semi_config)
    rows = labelled_rows(splits["train"].label, 20, 0)
    assert json.loads((workdir / "labelled_examples.json").read_text()) == rows.tolist()
    # The errors are of the averaged parameters, which are what `load` gives.
    model = inference.load(workdir)
    np.testing.assert_array_equal(*(jax.tree.leaves(t)[0] for t in (model.params, state.average[0])))
    assert errors[-1]["test_error"] == inference.classification_error(model, splits["test"])
    assert errors[-1]["validation_error"] == inference.classification_error(model, splits["validation"])


@pytest.mark.parametrize("game", ["ali_mixup", "supervised"])  # batches of both kinds, and of one
def test_a_run_goes_on_from_its_checkpoint_as_if_it_had_not_ended(tmp_path, game):
    config = make_semi_config(game)
    whole = train.train_and_evaluate(config, tmp_path / "whole")
    again = shutil.copytree(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(again / "checkpoints" / "12")  # of 4, 8 and 12
    assert_same(whole, train.train_and_evaluate(config, again))


@pytest.mark.parametrize("game", ["ali", "feature_matching"])
def test_the_discriminator_starts_undecided(tiny_config, game):
    """Whatever the number of logits, D is 1/2 but for what the small random kernels make of a pair."""
    config_lib.make_semi_supervised(tiny_config, game, num_classes=10, labelled=8, unlabelled=8)
    tiny_config.num_labels, tiny_config.model.init_std = 20, 1e-4
    batch = {"x": examples.load_splits(tiny_config)["train"].x[:16], "label": np.full(16, labels.UNLABELLED)}
    game = build.game(tiny_config)
    _, metrics = jax.jit(game.step)(jax.jit(game.init)(jax.random.key(0), batch=batch), batch)
    np.testing.assert_allclose([metrics["D_real"], metrics["D_generated"]], 0.5, atol=1e-4)


def test_a_head_of_another_width_is_named(tmp_path, semi_config):
    semi_config.model.discriminator_joint = (("dense", 1, 1, 7, False, 0.2, "linear", "tied"),)
    with pytest.raises(UserError, match="has 7 features; for digits with labels it needs 10"):
        train.train_and_evaluate(semi_config, tmp_path)


def test_a_run_is_not_resumed_with_other_labelled_examples(tmp_path, semi_config, semi_run):
    workdir = shutil.copytree(semi_run[0], tmp_path / "copy")
    (workdir / "labelled_examples.json").write_text("[1, 2, 3]")
    with pytest.raises(UserError, match="other labelled examples"):
        train.train_and_evaluate(semi_config, workdir)


@pytest.mark.parametrize(("field", "value"), [("num_steps", 24), ("average_rate", 0.2)])
def test_what_a_decaying_averaged_run_depends_on_may_not_change(tmp_path, semi_config, field, value):
    semi_config.decay_after = 0.5
    (tmp_path / "config.json").write_text(to_json(semi_config))
    semi_config[field] = value
    with pytest.raises(UserError, match=rf"config\.{field} = .*, not {value}"):
        check_same_run(semi_config, tmp_path)


def test_a_game_without_validation_examples_is_refused(tmp_path, semi_config):
    semi_config.validation_split = ""
    with pytest.raises(UserError, match="'' is not a split"):
        train.train_and_evaluate(semi_config, tmp_path)


def test_an_ordinary_model_tells_no_classes_apart(tiny_workdir):
    with pytest.raises(UserError, match="no classes"):
        inference.class_probabilities(inference.load(tiny_workdir), np.zeros((1, 8, 8, 1), np.uint8))


def test_data_without_labels_are_refused(semi_config):
    split = data.Split(np.zeros((5, 8, 8, 1), np.uint8), None, None)
    with pytest.raises(UserError, match="has no labels"):
        examples.fit(split, semi_config)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("label_seed", -1, r"whole number in \[0, "),
        ("decay_after", 1.5, r"in \[0, 1\]"),
        ("weight_decay", -1e-5, "at least 0"),
        ("average_rate", 1.0, r"in \[0, 1\)"),
    ],
)
def test_a_wrong_setting_is_named(semi_config, field, value, words):
    semi_config[field] = value
    with pytest.raises(UserError, match=words):
        config_lib.check(semi_config)


def judge(model, x, z):
    of = model.variables("discriminator")
    return model.networks.discriminator.apply(of, x / np.float32(255), z).joint


def test_class_probabilities_average_over_draws_of_z(semi_config):
    semi_config.model.init_std = 1.0
    x = examples.load_splits(semi_config)["test"].x[:20]
    game = build.game(semi_config)
    model = inference.of_state(game.networks, jax.jit(game.init)(jax.random.key(0), batch={"x": x}))
    key = jax.random.key(1)
    averaged = inference.class_probabilities(model, x, key=key, samples=3)
    codes = [inference.encode(model, x, key=k) for k in jax.random.split(key, 3)]
    each = [jax.nn.softmax(judge(model, x, z), axis=-1) for z in codes]
    np.testing.assert_allclose(averaged, np.mean(each, axis=0), rtol=1e-5)
    assert averaged.shape == (20, 10)
    np.testing.assert_allclose(averaged.sum(1), 1, rtol=1e-5)
    assert not np.allclose(averaged, inference.class_probabilities(model, x))
    with pytest.raises(UserError, match="samples is 3, and draws need a key"):
        inference.class_probabilities(model, x, samples=3)
    for label in (None, np.zeros((len(x), 1), int), np.zeros(len(x)), np.zeros(2, int)):
        with pytest.raises(UserError, match="The labels have the shape"):
            inference.classification_error(model, data.Split(x, label, None))
    with pytest.raises(UserError, match=r"The split is a ndarray; pass data\.Split"):
        inference.classification_error(model, x)


def test_labels_of_pandas_are_taken_by_their_place(semi_config):
    pandas = pytest.importorskip("pandas")
    x = examples.load_splits(semi_config)["test"].x[:20]
    game = build.game(semi_config)
    model = inference.of_state(game.networks, jax.jit(game.init)(jax.random.key(0), batch={"x": x}))
    label = np.argmax(inference.class_probabilities(model, x), axis=1)
    label[:3] = [-1, (label[1] + 1) % 10, (label[2] + 1) % 10]
    column = pandas.Series(label, index=range(19, -1, -1))
    assert inference.classification_error(model, data.Split(x, column, None)) == 2 / 19
    assert inference.classification_error(model, data.Split([*x], [*label], None)) == 2 / 19


@pytest.mark.parametrize("term", ["consistency", "mixup"])
def test_d_learns_from_examples_without_labels(term):
    """Where D has no batch normalisation, nothing but the term can carry them to its parameters."""
    config = make_semi_config(term)
    config.model.discriminator_x = ()
    config.model.discriminator_joint = (dense(16, dropout=0.2), dense(10, nonlinearity="linear"))
    game = build.game(config)
    x = examples.load_splits(config)["train"].x[:24]
    label = np.r_[np.arange(8), np.full(16, labels.UNLABELLED)]
    state = jax.jit(game.init)(jax.random.key(0), batch={"x": x})
    step = jax.jit(game.step)
    others = np.concatenate([x[:8], 255 - x[8:]])  # other images without labels
    of_x, of_others = (step(state, {"x": rows, "label": label}) for rows in (x, others))
    assert of_x[1]["loss_labels"] == of_others[1]["loss_labels"]
    first, second = (jax.tree.leaves(state.params.discriminator) for state, _ in (of_x, of_others))
    assert any(map(np.any, map(np.subtract, first, second)))


def test_300_steps_learn_the_digits_from_100_labels(tmp_path):
    """Chance errs on 90 % of them; these steps err on 6 % and 9 %."""
    config = load_config("digits_semi_supervised")
    config.num_steps = config.log_every = 300
    train.train_and_evaluate(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    [found] = [line for line in lines if "test_error" in line]
    assert found["step"] == 300
    assert found["validation_error"] < 0.2 and found["test_error"] < 0.2


def test_classes_that_do_not_count_from_0_are_told(semi_config):
    split = examples.load_splits(semi_config)["train"]
    semi_config.num_labels = 22
    with pytest.raises(UserError, match="digits has no examples of class 0, but of class 10; number"):
        examples.labelled_examples(semi_config, split._replace(label=split.label + 1))
