import json
import os
import signal
import threading

import jax
import numpy as np
import pytest
from conftest import load_config

from ali_jax import checkpoint, config, data, train
from ali_jax.errors import UserError


def leaves(state):
    return jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))


def assert_same(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_what_it_promises(tmp_path, tiny_config):
    state = train.train_and_evaluate(tiny_config, tmp_path)
    assert int(state.step) == 12
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    names = "loss_discriminator loss_generator_encoder D_real D_generated mu_mean mu_std sigma_min"
    for line in lines:
        assert np.isfinite([line[name] for name in [*names.split(), "images_per_second"]]).all()
    figures = sorted(p.name for p in (tmp_path / "figures").iterdir())
    steps = ("0000006", "0000012")
    assert figures == [f"{n}_{s}.png" for n in ("reconstructions", "samples") for s in steps]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["12", "4", "8"]
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads(config.to_json(tiny_config))
    assert list(tmp_path.glob("events.out.tfevents*"))


def test_several_steps_in_one_call_train_the_same(tmp_path, tiny_config):
    one = train.train_and_evaluate(tiny_config, tmp_path / "one")
    tiny_config.steps_per_dispatch = 5
    five = train.train_and_evaluate(tiny_config, tmp_path / "five")
    for name in ("loss_discriminator", "mu_mean", "x_tilde_std"):
        last = [metrics(tmp_path / run)[-1][name] for run in ("one", "five")]
        # The last line of "five" is the mean over steps 11 and 12 as well.
        np.testing.assert_allclose(*last, rtol=1e-3, atol=1e-4)
    assert int(one.step) == int(five.step) == 12


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, tiny_config):
    whole = train.train_and_evaluate(tiny_config, tmp_path / "whole")
    tiny_config.num_steps = 7  # not a multiple of anything
    train.train_and_evaluate(tiny_config, tmp_path / "parts")
    with open(tmp_path / "parts" / "metrics.jsonl", "a") as file:
        file.write('{"step": 8, "loss_discriminator": 1.0}\n{"step": 10, "loss_dis')
    tiny_config.num_steps = 12
    assert_same(whole, train.train_and_evaluate(tiny_config, tmp_path / "parts"))
    assert [line["step"] for line in metrics(tmp_path / "parts")] == [2, 4, 6, 8, 10, 12]
    # All done: running it once more changes nothing.
    assert_same(whole, train.train_and_evaluate(tiny_config, tmp_path / "parts"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_and_stop(tmp_path, tiny_config, number):
    tiny_config.num_steps = 10**6
    tiny_config.log_every = 1
    handler = signal.getsignal(number)

    def send_when_running():
        while not (tmp_path / "metrics.jsonl").exists():
            pass
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send_when_running)
    thread.start()
    state = train.train_and_evaluate(tiny_config, tmp_path)
    thread.join()
    assert 1 <= int(state.step) < 10**6
    assert (tmp_path / "checkpoints" / str(int(state.step))).is_dir()
    assert signal.getsignal(number) is handler


def test_parameters_that_are_not_finite_never_reach_a_checkpoint(tmp_path, tiny_config):
    train.train_and_evaluate(tiny_config, tmp_path)
    before = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    with checkpoint.Checkpoints(tmp_path, 3) as checkpoints:
        _, state = train.first_state(
            tiny_config, data.load("digits", "train"), checkpoints, train.sharding.make_mesh()
        )
        poisoned = jax.tree.map(lambda p: p * np.nan, state.params.generator)
        state = state._replace(params=state.params._replace(generator=poisoned))
        with pytest.raises(train.NotFinite, match="step 12"):
            train.check_parameters(state, 12)
    assert before == sorted(p.name for p in (tmp_path / "checkpoints").iterdir())


def test_divergence_ends_in_one_sentence_with_the_last_good_checkpoint(tmp_path, tiny_config):
    tiny_config.learning_rate = 1e30
    tiny_config.num_steps = 100
    tiny_config.checkpoint_every = 1
    with pytest.raises(UserError, match=r"not finite (at|after) step \d+; the last good checkpoint"):
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


def test_a_workdir_that_cannot_be_written_is_named(tmp_path, tiny_config):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        train.train_and_evaluate(tiny_config, tmp_path / "file" / "run")


@pytest.mark.parametrize("field", ["model", "batch_size", "seed", "dataset"])
def test_a_workdir_of_another_config_is_refused(tmp_path, tiny_config, field):
    tiny_config.num_steps = 2
    train.train_and_evaluate(tiny_config, tmp_path)
    before = (tmp_path / "config.json").read_text()
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


def test_mixture_draws_its_points(tmp_path):
    run = load_config("mixture")
    run.num_steps = run.steps_per_dispatch = 2
    run.log_every = 1
    train.train_and_evaluate(run, tmp_path)
    assert [p.name for p in (tmp_path / "figures").iterdir()] == ["mixture_0000002.png"]
