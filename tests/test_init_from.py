"""Training that starts from the networks of a trained model."""

import json
import shutil

import jax
import pytest
from helpers import assert_same

from ali_jax import build, data, files, inference, main, train
from ali_jax.errors import UserError
from ali_jax.pretrained import starts, weights
from ali_jax.run import begun, workdirs


@pytest.fixture(scope="module")
def exported(tiny_workdir, tmp_path_factory):
    """G and E of the tiny run, in a file."""
    model, file = inference.load(tiny_workdir), tmp_path_factory.mktemp("exported") / "tiny.safetensors"
    config = json.loads(workdirs.to_json(workdirs.read_config(tiny_workdir)))
    arrays = weights.flatten(model.params, model.batch_stats, ("generator", "encoder"))
    weights.write(file, arrays, weights.About(config, model.step, "digits", None, []))
    return file


def test_training_starts_from_a_file(exported, tiny_config, caplog):
    """The very networks, and its average too; D, which is not in the file, begins anew."""
    tiny_config.average_rate, tiny_config.seed = 0.5, 1
    game = build.game(tiny_config)
    caplog.set_level("INFO", "ali_jax")
    model = starts.load(exported, game.shapes)
    assert "tiny.safetensors holds no discriminator; that of the run starts afresh" in caplog.text
    fresh = train.fresh_state(tiny_config, game, data.load("digits", "train"))
    state = starts.start_from(fresh, model)
    assert_same(state.params.generator, model.params.generator)
    assert_same(state.batch_stats.encoder, model.batch_stats.encoder)
    assert_same(state.params.discriminator, fresh.params.discriminator)
    assert_same(state.average, (state.params, state.batch_stats))
    buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((state.params, state.average))]
    assert len({*buffers}) == len(buffers), "a donated state holds no buffer twice"


def test_a_run_says_what_it_started_from_and_goes_on_from_nothing_else(
    exported, tmp_path, in_process, tiny_config
):
    tiny_config.num_steps = 4
    file, run = exported, tmp_path / "second"
    state = train.train_and_evaluate(tiny_config, run, init_from=file, command="python -m ali_jax.main")
    assert int(state.step) == 4
    noted = json.loads((run / "begun.json").read_text())
    assert noted["command"] == "python -m ali_jax.main" and noted["versions"]["jax"] == jax.__version__
    assert noted["init_from"] == {"source": str(file), "step": 12, "sha256": inference.about(file).sha256}
    train.train_and_evaluate(tiny_config, run, init_from=file)
    with pytest.raises(UserError, match=r"begun from .*tiny\.safetensors at step 12, not afresh"):
        train.train_and_evaluate(tiny_config, run)


def test_a_run_goes_on_whatever_has_become_of_its_source(exported, tmp_path, tiny_config):
    """It has all in its own checkpoints. Before the first of them the source must be as it was."""
    file, run = tmp_path / "copy.safetensors", tmp_path / "second"
    file.write_bytes(exported.read_bytes())
    tiny_config.num_steps = 4
    whole = train.train_and_evaluate(tiny_config, run, init_from=file)
    file.unlink()
    shutil.rmtree(run / "checkpoints" / "4")
    with pytest.raises(UserError, match=r"copy\.safetensors"):
        train.train_and_evaluate(tiny_config, run, init_from=file)
    file.write_bytes(exported.read_bytes())
    assert_same(train.train_and_evaluate(tiny_config, run, init_from=file).params, whole.params)
    file.unlink()
    assert_same(train.train_and_evaluate(tiny_config, run, init_from=file).params, whole.params)
    with pytest.raises(UserError, match="not afresh"):
        train.train_and_evaluate(tiny_config, run)


def test_a_run_that_was_killed_while_it_was_claimed_begins_anew(tiny_config, tmp_path, monkeypatch):
    """There is no moment at which config.json is there, by which it is a run, and begun.json is not."""
    start = {"command": "python -m ali_jax.main", "init_from": {"source": "a", "step": 1, "sha256": "b"}}

    def killed(path, content):
        if path.name != "begun.json":
            raise KeyboardInterrupt
        files.write_whole(path, content)

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(workdirs, "write_whole", killed)
        workdirs.claim(tmp_path, tiny_config, start=start)
    assert not (tmp_path / "config.json").exists()
    begun.check(tmp_path, {})  # of no run yet, so that it may begin otherwise
    workdirs.claim(tmp_path, tiny_config, start=start)
    assert begun.read(tmp_path) == start
    # Of what was begun without a checkpoint nothing is left, of what has one the start is.
    again = start | {"command": "python -m ali_jax.main --config.log_every=1"}
    workdirs.claim(tmp_path, tiny_config, start=again)
    (tmp_path / "checkpoints" / "4").mkdir(parents=True)
    workdirs.claim(tmp_path, tiny_config, start=start)
    assert begun.read(tmp_path) == again


def test_networks_that_are_others_are_told(exported, tmp_path, in_process):
    with pytest.raises(
        UserError, match=r"The generator of .* is another .*layer_1/kernel is \(3, 12\) there"
    ):
        in_process(main, f"--workdir={tmp_path / 'other'}", f"--init_from={exported}")
    assert not (tmp_path / "other").exists()
    with pytest.raises(UserError, match="nowhere is no workdir"):
        in_process(main, f"--workdir={tmp_path / 'other'}", "--init_from=nowhere")


def test_networks_of_a_workdir_are_of_no_device_before_they_are_laid_out(tiny_workdir, tiny_config):
    """What is restored is of a local one, from which several processes cannot spread it over all."""
    game = build.game(tiny_config)
    model = starts.load(tiny_workdir, game.shapes)
    state = starts.start_from(train.fresh_state(tiny_config, game, data.load("digits", "train")), model)
    assert all(leaf.committed for leaf in jax.tree.leaves(model.params))
    assert not any(leaf.committed for leaf in jax.tree.leaves(state.params))
