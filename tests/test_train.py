import json
import os
import shutil
import signal
import threading
import time

import jax
import numpy as np
import pytest
from conftest import load_config
from helpers import arrays, assert_close, assert_same, last_state, no_file_longer_than

from ali_jax import build, data, examples, inference, train
from ali_jax.errors import UserError
from ali_jax.run import devices, workdirs
from ali_jax.run.checkpoints import Checkpoints, kept_steps
from ali_jax.run.signals import stop_signals
from ali_jax.run.workdirs import to_json


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_what_it_promises(tiny_workdir, tiny_config):
    lines = metrics(tiny_workdir)
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    names = "loss_discriminator loss_generator_encoder D_real D_generated mu_mean mu_std sigma_min"
    for line in lines:
        assert np.isfinite([line[name] for name in [*names.split(), "images_per_second"]]).all()
    figures = sorted(p.name for p in (tiny_workdir / "figures").iterdir())
    steps = ("0000006", "0000012")
    assert figures == [f"{n}_{s}.png" for n in ("reconstructions", "samples") for s in steps]
    assert sorted(p.name for p in (tiny_workdir / "checkpoints").iterdir()) == ["12", "4", "8"]
    assert json.loads((tiny_workdir / "config.json").read_text()) == json.loads(to_json(tiny_config))


def test_several_steps_in_one_call_train_the_same(tmp_path, tiny_config, tiny_workdir):
    """In a call of eleven and one of what is left."""
    tiny_config.steps_per_dispatch = 11
    state = train.train_and_evaluate(tiny_config, tmp_path)
    assert [line["averaged_steps"] for line in metrics(tmp_path)] == [11, 1]
    for name in ("loss_discriminator", "mu_mean", "x_tilde_std"):
        one_by_one = np.mean([line[name] for line in metrics(tiny_workdir)])
        several = np.mean([metrics(tmp_path)[0][name]] * 11 + [metrics(tmp_path)[1][name]])
        np.testing.assert_allclose(one_by_one, several, rtol=1e-3, atol=1e-4)
    assert_close(state.params, inference.load(tiny_workdir).params, tiny_config)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, tiny_config, tiny_workdir):
    _, whole = last_state(tiny_workdir)
    tiny_config.num_steps = 7  # not a multiple of anything
    train.train_and_evaluate(tiny_config, tmp_path)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 8, "loss_discriminator": 1.0}\n{"step": 10, "loss_dis')
    tiny_config.num_steps = 12
    assert_same(arrays(train.train_and_evaluate(tiny_config, tmp_path)), whole)
    # As log_every asks, and where a run ended.
    assert [line["step"] for line in metrics(tmp_path)] == [2, 4, 6, 7, 8, 10, 12]
    assert [line["averaged_steps"] for line in metrics(tmp_path)] == [2, 2, 2, 1, 1, 2, 2]
    # All done: running it once more changes nothing.
    assert_same(arrays(train.train_and_evaluate(tiny_config, tmp_path)), whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_and_stop(tmp_path, tiny_config, number):
    tiny_config.num_steps = 10**6
    tiny_config.log_every = 1
    handler = signal.getsignal(number)

    def send_when_running():
        while not (tmp_path / "metrics.jsonl").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send_when_running)
    thread.start()
    state = train.train_and_evaluate(tiny_config, tmp_path)
    thread.join()
    assert 1 <= int(state.step) < 10**6
    assert (tmp_path / "checkpoints" / str(int(state.step))).is_dir()
    assert signal.getsignal(number) is handler


def test_signals_while_the_last_checkpoint_is_written_do_not_lose_it(tmp_path, tiny_config, monkeypatch):
    """Schedulers signal more than once. Before the end of the writing there is only a temporary folder."""
    tiny_config.num_steps, finish = 4, Checkpoints.wait

    def signalled(checkpoints):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        finish(checkpoints)

    monkeypatch.setattr(Checkpoints, "wait", signalled)
    state = train.train_and_evaluate(tiny_config, tmp_path)
    assert int(state.step) == 4 and kept_steps(tmp_path)[-1] == 4
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_stop_signals_within_others_share_their_list():
    with stop_signals() as outer:
        with stop_signals() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
        assert inner is outer
        os.kill(os.getpid(), signal.SIGTERM)
    assert outer == [signal.SIGTERM, signal.SIGTERM]


def test_parameters_that_are_not_finite_never_reach_a_checkpoint(tmp_path, tiny_config, monkeypatch):
    """Losses are of the state before the update: they are still finite when the update is not."""
    compiled_steps = train.compiled_steps

    def poisoned_at_step_8(game, mesh):
        steps = compiled_steps(game, mesh)

        def run(state, batches, due):
            state, metrics = steps(state, batches, due=due)
            if state.step == 8:
                generator = jax.tree.map(lambda p: p * np.nan, state.params.generator)
                state = state._replace(params=state.params._replace(generator=generator))
            return state, metrics

        run.trace = steps.trace
        return run

    monkeypatch.setattr(train, "compiled_steps", poisoned_at_step_8)
    with pytest.raises(UserError, match=r"not finite after step 8.*last good one is of step 4"):
        train.train_and_evaluate(tiny_config, tmp_path)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["4"]


def test_an_example_that_is_not_finite_is_named(tmp_path, tiny_config):
    digits = {role: data.load("digits", role) for role in ("train", "test")}
    x = digits["train"].x / np.float32(255)
    x[17, 2, 2] = np.nan
    splits = {"train": digits["train"]._replace(x=x), "validation": digits["test"]}
    with pytest.raises(
        UserError, match=r"training example 17 \(.*\) holds NaN or infinite numbers; leave it out"
    ):
        train.train_and_evaluate(tiny_config, tmp_path, splits)


@pytest.mark.parametrize(
    ("checkpoint_every", "words"),
    [(1, r"the last good one is of step \d+"), (100, "no checkpoint is there")],
)
def test_divergence_ends_in_one_sentence(tmp_path, tiny_config, checkpoint_every, words):
    tiny_config.learning_rate = 1e30
    tiny_config.num_steps = 100
    tiny_config.checkpoint_every = checkpoint_every
    with pytest.raises(UserError, match=rf"not finite (at|after) step \d+ of .* \({words}"):
        train.train_and_evaluate(tiny_config, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 0}, "config.batch_size is 0"),
        ({"batch_size": 10_000}, "10000"),
        ({"num_steps": 0}, "num_steps"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"b1": 1.0}, "b1"),
        ({"dtype": "float8"}, "float8"),
        ({"dataset": "imagenette"}, "imagenette"),
        ({"train_split": "validation"}, "validation"),
        ({"dataset": "mixture"}, "x_shape"),
    ],
)
def test_bad_values_end_in_one_sentence_and_leave_no_workdir(tmp_path, tiny_config, change, words):
    tiny_config.update(change)
    workdir = tmp_path / "run"
    with pytest.raises(UserError, match=words):
        train.train_and_evaluate(tiny_config, workdir)
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("field", "row"),
    [
        ("generator", ("dense", 1, 1, 63, False, 0.0, "sigmoid", "untied")),  # not 8 x 8
        ("generator", ("noise", 1, 1, 64, False, 0.0, "linear")),
        ("generator", ("transposed", 4, 1, 4, False, 0.0, "sigmoid", "untied")),  # 4 x 4 x 4
        ("discriminator_x", ("convolution", 3, 2, 4, False, 0.0, "relu")),  # does not cover 8 exactly
        ("discriminator_z", ("dense", 1, 1, 13, False, 0.0, "maxout2", "tied")),
        ("discriminator_joint", ("dense", 1, 1, 10, False, 0.0, "linear", "tied")),
    ],
)
def test_rows_that_do_not_fit_are_named_and_leave_no_workdir(tmp_path, tiny_config, field, row):
    tiny_config.model[field] = (row,)
    with pytest.raises(UserError, match=r"config\.model"):
        train.train_and_evaluate(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_examples_of_any_shape_train_and_labels_that_no_term_reads_may_be_anything(tmp_path, tiny_config):
    """Maps without channels, of booleans, which copies get noise on, and classes by their names."""
    digits = data.load("digits", "train")
    names = np.array([f"digit {k}" for k in digits.label])
    split = digits._replace(x=digits.x[..., 0] > 100, label=names)
    tiny_config.model.x_shape = (8, 8)
    tiny_config.disturbance.noise_x = 0.1
    train.train_and_evaluate(tiny_config, tmp_path, {"train": split, "validation": split})
    assert inference.encode(inference.load(tmp_path), split.x[:5]).shape == (5, 3)


@pytest.mark.filterwarnings("error")
def test_examples_in_float64_are_traced_as_they_come_on_a_device(tiny_config):
    game, mesh = build.game(tiny_config), devices.make_mesh()
    example = {"x": np.zeros((16, 8, 8, 1))}
    train.trace(train.compiled_steps(game, mesh), tiny_config, game, example, mesh)


def test_what_is_no_shape_is_told_before_what_is_of_images(tmp_path, tiny_config):
    with tiny_config.ignore_type():
        tiny_config.model.x_shape = 64
    tiny_config.disturbance.mirror = 0.5
    with pytest.raises(UserError, match=r"x_shape is 64; it must be the shape of an example"):
        train.train_and_evaluate(tiny_config, tmp_path)


def test_attributes_of_another_number_are_refused(tiny_config):
    tiny_config.model.num_attributes = 10
    images = np.zeros((2, 8, 8, 1), np.uint8)
    with pytest.raises(UserError, match="num_attributes is 10, but digits has 40"):
        examples.fit(data.Split(images, None, np.zeros((2, 40), np.uint8)), tiny_config)


def test_a_workdir_that_cannot_be_written_is_named_before_data_are_read(tmp_path, tiny_config, monkeypatch):
    monkeypatch.setattr(train.examples, "all_fit", lambda *_: pytest.fail("read"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"{tmp_path}/file/run cannot be written .*file is a file"):
        train.train_and_evaluate(tiny_config, tmp_path / "file" / "run")


def test_splits_without_a_role_are_refused_before_anything_is_written(tmp_path, tiny_config):
    split = data.load("digits", "train")
    for splits in ({"train": split}, {"validation": split}, {}):
        with pytest.raises(UserError, match='pass "train" and "validation"'):
            train.train_and_evaluate(tiny_config, tmp_path, splits)
    assert not list(tmp_path.iterdir())


def test_a_workdir_of_another_version_is_told(tmp_path, tiny_config, tiny_workdir):
    before = json.loads((tiny_workdir / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(before | {"momentum": 0.9}))
    with pytest.raises(UserError, match=r"config\.momentum, which this config has not, as it is of another"):
        train.train_and_evaluate(tiny_config, tmp_path)


@pytest.mark.parametrize("field", ["model", "batch_size", "seed", "dataset"])
def test_a_workdir_of_another_config_is_refused(tmp_path, tiny_config, tiny_workdir, field):
    before = (tiny_workdir / "config.json").read_text()
    (tmp_path / "config.json").write_text(before)
    if field == "model":
        tiny_config.model.latent_dim = 4
        tiny_config.model.encoder = (("dense", 1, 1, 8, False, 0.0, "linear", "tied"),)
    elif field == "dataset":
        tiny_config = load_config("mixture")
    else:
        tiny_config[field] += 16
    with pytest.raises(UserError, match="was begun with"):
        train.train_and_evaluate(tiny_config, tmp_path)
    assert (tmp_path / "config.json").read_text() == before


def test_a_finished_run_is_only_read(tmp_path, tiny_config, tiny_workdir):
    """So that it says that it is trained on a disk that takes nothing, and while another run is at work."""
    workdir = shutil.copytree(tiny_workdir, tmp_path / "copy")

    def listing():
        return {path: path.stat().st_mtime_ns for path in [workdir, *workdir.rglob("*")]}

    before = listing()
    with workdirs.locked(workdir):
        assert int(train.train_and_evaluate(tiny_config, workdir).step) == 12
        tiny_config.num_steps = 13
        with pytest.raises(UserError, match="Another run is at work"):
            train.train_and_evaluate(tiny_config, workdir)
    assert listing() == before


@pytest.mark.parametrize(("size", "checkpoint_every"), [(4_500, 100), (8_000, 4)])  # metrics, a checkpoint
def test_a_full_disk_ends_in_one_sentence_and_a_run_goes_on_when_there_is_room(
    tmp_path, tiny_config, tiny_workdir, size, checkpoint_every
):
    tiny_config.checkpoint_every, tiny_config.figures_every = checkpoint_every, 1000
    with no_file_longer_than(size), pytest.raises(UserError, match=r"cannot be written .*make room") as error:
        train.train_and_evaluate(tiny_config, tmp_path / "full")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("full/**/.*.*"))  # nothing half-written
    state = train.train_and_evaluate(tiny_config, tmp_path / "full")
    assert_same(arrays(state), last_state(tiny_workdir)[1])
    assert [line["step"] for line in metrics(tmp_path / "full")] == [2, 4, 6, 8, 10, 12]
