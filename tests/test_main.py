"""The program as a user starts it."""

import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from conftest import flags_of, no_flag_left
from helpers import ROOT, SMALL, assert_same, environment, last_state, start, wait_for_lines

from ali_jax import main
from ali_jax.errors import UserError
from ali_jax.run import command_line


def test_killed_at_any_moment_and_resumed_it_ends_bit_identical(tmp_path, in_process, caplog):
    """A run that SIGKILL ends twice, against a run that nothing disturbed."""
    flags = [*SMALL, "--config.checkpoint_every=20", "--config.num_steps=120"]
    workdir = tmp_path / "killed"
    compiled_as_here = environment(XLA_FLAGS=os.environ["XLA_FLAGS"])
    for lines in (25, 45):
        options = {"env": compiled_as_here, "stderr": subprocess.DEVNULL}
        with start(*flags, f"--workdir={workdir}", **options) as process:
            wait_for_lines(process, workdir / "metrics.jsonl", lines)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    caplog.set_level(logging.INFO, "ali_jax")
    in_process(main, *flags, f"--workdir={workdir}")
    begun_at = int(re.search(r"from the checkpoint of step (\d+)", caplog.text)[1])
    assert 20 <= begun_at < 120
    in_process(main, *flags, f"--workdir={tmp_path / 'whole'}")
    (step_whole, state_whole), (step, state) = last_state(tmp_path / "whole"), last_state(workdir)
    assert step_whole == step == 120
    assert_same(state_whole, state)


def test_a_mistake_ends_the_process_in_one_sentence(tmp_path):
    """One that the run meets."""
    flags = [*SMALL, "--config.train_split=train[500:]", f"--workdir={tmp_path}"]
    with start(*flags, stderr=subprocess.PIPE) as process:
        _, written = process.communicate(timeout=300)
    assert process.returncode == 1
    [error] = [line for line in written.splitlines() if line.startswith("Error: ")]
    assert "'train[500:]' of noise is empty" in error and error == written.splitlines()[-1]
    assert "Traceback" not in written
    assert not (tmp_path / "checkpoints").exists()


# One that parsing the flags meets, and one that defining them does.
@pytest.mark.parametrize(
    ("flag", "words"), [("--config.batch_sise=10", "batch_sise"), ("--flagfile=/nowhere", "'/nowhere'")]
)
def test_a_mistake_in_a_flag_ends_the_program_in_one_sentence(tmp_path, monkeypatch, flag, words):
    """absl's own start and our log are left out, which change the process that they are in for good."""
    monkeypatch.setattr(sys, "argv", ["main", flag, f"--workdir={tmp_path / 'run'}"])
    monkeypatch.setattr(command_line, "log_to_stderr", lambda: None)
    monkeypatch.setattr(command_line, "note_interrupts", lambda: None)

    def run(program, flags_parser):
        program(flags_parser(sys.argv))

    monkeypatch.setattr(command_line.app, "run", run)
    with no_flag_left(), warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
        command_line.run(main.main, main.define_flags)
    said = ended.value.code  # Python writes it to stderr and exits with 1
    assert said.startswith("Error: ") and words in said and "\n" not in said
    assert not (tmp_path / "run").exists()


def test_a_config_of_ours_is_named_alone_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["main", "--config=svhn:small", "--config.batch_size=7"]
    monkeypatch.setattr(sys, "argv", argv)
    with flags_of(main):
        command_line.parse_flags(argv)
        config = command_line.flags.FLAGS.config
        assert (config.dataset, config.model.latent_dim, config.batch_size) == ("svhn_cropped", 128, 7)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--config=configs/nowhere.py"], "configs/nowhere.py"),
        (["--config=README.md"], "README.md is no Python file"),
        (["--config=svnh:small"], "configs/svnh.py; pass the path of one"),
        (["--config="], "is no Python file"),
        (["--config=~/nowhere.py"], f"{Path.home()}/nowhere.py"),
        (["--config.seed=9223372036854775808"], "config.seed is 9223372036854775808; it must be"),
        (["--coordinator=nowhere"], "the coordinator is nowhere, their number None"),
        (["--workdir=gs://bucket/run"], "gs://bucket/run is not on this machine"),
        (["--config=configs/cifar10.py:other"], "other"),
        (["--config=configs/mnist_bigan.py:paper"], "knows no variant 'paper'"),
        (["--config.batch_size=0"], "batch_size"),
        (["--config.batch_size=1"], "config.batch_size is 1, and batch normalisation in G and E"),
        (["--workdir="], "--workdir is empty"),
        (["--config.seed=-1", "--config=configs/svhn.py"], "config.seed is -1; it must be"),
        (["--config.terms", "{}"], "Write --config.terms=VALUE, with = and no space"),
        (["--config.batch_size=ten"], "ten"),
        (["--steps=10"], "steps"),
        (["--config.lr=0.1"], "There is no config.lr; is it "),
        (["--config.batch-size=64"], "There is no config.batch-size; is it config.batch_size"),
        (["--config.model.x_shape[0]=8"], "There is no config.model.x_shape[0]; is it config.model.x_shape"),
        (["--config.=8"], "There is no config.; is it "),
        (["--config..seed=8"], "There is no config..seed; is it config.seed"),
        (["--config.data_dir.x=8"], "There is no config.data_dir.x; is it config.data_dir"),
        (["--config.model.encoder.features=8"], "There is no config.model.encoder.features; is it "),
        (["--config.batch_sise=10"], "is it config.batch_size"),
        (["--config.model.latent=4"], "config.model.latent_dim"),
        (["--config", "configs/digits.py", "--config.seeds=4"], "config.seed"),
        (["--config.terms.test_build:no_share={}"], "returned float, not a Share"),
        (["--config.terms.adversarial.weigth=0.1"], "no setting 'weigth'; choose of d, ge, unlabelled"),
        (
            ["--config=configs/digits.py:paper", "--config.model.discriminator_xx=((1,),)"],
            "add its rows in a config file",
        ),
        (["--config.dataset=arrays:/nope.npz"], "There is no file /nope.npz"),
        (["--config.terms={}"], "nobody plays for anything"),
        (["--workdir=/dev/null/run"], "/dev/null/run"),
        (["config=configs/svhn.py"], "config=configs/svhn.py"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, in_process, flags, words):
    if not any(flag.startswith("--workdir") for flag in flags):
        flags = [*flags, f"--workdir={tmp_path}"]
    with pytest.raises(UserError, match=re.escape(words)) as error:
        in_process(main, *flags)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def get_config(:", r"config.py has a mistake in line 1 \(SyntaxError: "),
        ("import nowhere", r"config.py has a mistake in line 1 \(ModuleNotFoundError: "),
        ("def get_config():\n    return of()\ndef of():\n    1 + 'a'", r"in line 4 \(TypeError: unsupported"),
        ("def get_config():\n    return 5", "gave int; return a config"),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, in_process, text, words):
    (tmp_path / "config.py").write_text(text)
    with pytest.raises(UserError, match=words) as error:
        in_process(main, f"--config={tmp_path / 'config.py'}", f"--workdir={tmp_path / 'run'}")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_a_mistake_in_a_term_of_the_users_own_is_named_by_its_line(tmp_path, in_process, monkeypatch):
    (tmp_path / "wrong_terms.py").write_text(
        "def typo(round, players, key):\n    return players.encod(round.x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    terms = '--config.terms={"adversarial": {}, "wrong_terms:typo": {}}'
    words = (
        r"wrong_terms\.py has a mistake in line 2 \(AttributeError: 'Players' object has no attribute 'encod'"
    )
    with pytest.raises(UserError, match=words) as error:
        in_process(main, "--config=configs/digits.py:paper", terms, f"--workdir={tmp_path / 'run'}")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_neither_the_package_nor_the_game_imports_what_takes_seconds():
    """`import ali_jax` reads no JAX; the game, its training and its data need no TensorFlow nor its kin."""
    script = (
        "import sys\n"
        "import ali_jax\n"
        "assert not {'jax', 'flax', 'numpy'} & set(sys.modules), 'the package'\n"
        "sys.modules['tensorflow'] = sys.modules['tensorflow_datasets'] = None\n"
        "import ali_jax.inference\n"
        "assert not {'optax', 'ali_jax.terms'} & set(sys.modules), 'a trained model'\n"
        "import ali_jax.train, ali_jax.train_step\n"
        "assert not {'clu', 'matplotlib', 'sklearn', 'PIL'} & set(sys.modules), 'the game'\n"
        "from ali_jax import data; data.load('digits', 'train')"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=300)
