import contextlib
import errno
import fcntl
import io
import json
import logging
import os
import pickle
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import types

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROOT

from ali_jax.run import events, events_process, metrics


class Log:
    """A writer that keeps what it gets."""

    def __init__(self):
        self.advanced, self.written, self.averaged = [], [], []

    def advance(self, steps, losses):
        self.advanced.append(steps)

    def write(self, step, scalars):
        self.written.append((step, scalars["loss_discriminator"]))
        self.averaged.append(scalars["averaged_steps"])


def of_steps(*losses):
    return {name: jnp.asarray(losses) for name in metrics.SHOWN}


@pytest.mark.parametrize("backend, settled", [("gpu", 3), ("cpu", 5)])  # at most two calls behind a GPU
def test_means_over_the_interval_are_written_when_it_ends(monkeypatch, backend, settled):
    monkeypatch.setattr(metrics.jax, "default_backend", lambda: backend)
    log = Log()
    recorder = metrics.Recorder(log, log_every=2, first_step=0)
    for step, loss in enumerate([1.0, 3.0, 5.0, 9.0, 2.0], 1):
        recorder.add(step, of_steps(loss))
    assert len(log.advanced) == settled
    recorder.catch_up()
    assert log.written == [(2, 2.0), (4, 7.0)]
    assert log.advanced == [1] * 5
    for _ in range(2):  # the second time there is none
        recorder.write_means(5)
        assert log.written == [(2, 2.0), (4, 7.0), (5, 2.0)] and log.averaged == [2, 2, 1]


def test_calls_of_several_steps_write_at_the_first_end_beyond_the_interval():
    log = Log()
    recorder = metrics.Recorder(log, log_every=4, first_step=0)
    recorder.add(3, of_steps(1.0, 2.0, 3.0))
    recorder.add(6, of_steps(4.0, 5.0, 6.0))
    recorder.catch_up()
    assert log.written == [(6, 3.5)]


def test_a_row_says_over_how_many_steps_its_means_are():
    """The first one after a resume is of the steps since."""
    log = Log()
    recorder = metrics.Recorder(log, log_every=4, first_step=3)
    recorder.add(4, of_steps(1.0))
    recorder.add(8, of_steps(1.0, 2.0, 3.0, 4.0))
    recorder.catch_up()
    assert log.averaged == [1, 4]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_first_step_that_is_not_finite_is_named(bad):
    recorder = metrics.Recorder(Log(), log_every=100, first_step=10)
    recorder.add(13, of_steps(1.0, 1.0, 1.0))
    with pytest.raises(metrics.NotFinite, match="step 15"):
        recorder.add(16, of_steps(1.0, bad, bad))
        recorder.catch_up()


def writer(workdir, first_step=0):
    return metrics.MetricWriter(workdir, first_step, num_steps=10, batch_size=4)


SCALARS = dict.fromkeys([*metrics.SHOWN, "D_real", "D_generated"], 0.5)


def test_metrics_go_to_jsonl_tensorboard_and_the_log(tmp_path, caplog, with_clu):
    with caplog.at_level(logging.INFO, "ali_jax"), writer(tmp_path) as out:
        out.write(5, SCALARS)
        out.write_look(5, {"error": 0.5}, {"samples": np.zeros((4, 4, 3), np.uint8)})
    line, look = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert line["step"] == 5 and line["D_real"] == 0.5 and line["images_per_second"] > 0
    assert look == {"step": 5, "error": 0.5}
    assert "step 5 of 10" in caplog.text
    assert (tmp_path / "figures" / "samples_0000005.png").exists()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path)).Reload()
    assert {"D_real", "error", "samples"} <= {*events.Tags()["tensors"]}
    assert "TensorBoard" not in caplog.text


def test_lines_from_beyond_the_checkpoint_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"st')
    with writer(tmp_path, first_step=4) as out:
        out.write(6, SCALARS)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [2, 4, 6]


def test_lines_that_are_no_records_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [
        b"5",
        b"[1]",
        b'{"a": 1}',
        b"\xff\xfe\x00",
        b"",
        b'{"step": true}',
        b'{"step": "2"}',
        b'{"step": 2}',
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert metrics.read_lines(path) == [{"step": 2}]
    assert metrics.read_lines(tmp_path / "none.jsonl") == []
    with writer(tmp_path, first_step=4):
        assert path.read_text() == '{"step": 2}\n'


def test_without_tensorflow_training_goes_on(tmp_path, caplog):
    with writer(tmp_path) as out:
        out.write(1, SCALARS)
        out._events._process.wait()
        out.write(2, SCALARS)
        out.write_look(2, {}, {"samples": np.zeros((99, 999, 3), np.uint8)})
    assert caplog.text.count("Not writing to TensorBoard: ImportError: left out of this test") == 1
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_what_a_killed_run_has_told_the_events_is_written(tmp_path, with_clu):
    script = (
        "import os, signal, sys; from pathlib import Path; from ali_jax.run.events import Events\n"
        "events = Events(Path(sys.argv[1])); events.write(3, {'D_real': 0.5}, {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=ROOT, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    for _ in range(3000):
        if any(b"D_real" in path.read_bytes() for path in tmp_path.glob("events.out.tfevents*")):
            return
        time.sleep(0.1)
    raise AssertionError("no events after five minutes")


def test_the_process_of_events_is_out_of_reach_of_a_terminal_and_its_death_is_told(tmp_path, caplog):
    with writer(tmp_path) as out:
        out._events._start()
        process = out._events._process
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
        process.kill()
        process.wait()
        out.write(1, SCALARS)
    assert "Not writing to TensorBoard: its process ended with -9." in caplog.text


def test_a_run_that_is_killed_amid_a_message_ends_its_process_of_events(monkeypatch):
    message = pickle.dumps((1, {}, {"samples": np.zeros(10**5, np.uint8)}))
    stdin = types.SimpleNamespace(buffer=io.BytesIO(message + message[:-9]))
    told = []
    monkeypatch.setattr(events_process.sys, "stdin", stdin)
    monkeypatch.setattr(events_process.signal, "signal", lambda *given: None)
    monkeypatch.setattr(events_process, "write", lambda _, received: told.extend(iter(received.get, None)))
    events_process.main("")
    assert [step for step, *_ in told] == [1]


def test_where_no_process_can_be_started_training_goes_on(tmp_path, caplog, monkeypatch):
    def refuse(*given, **more):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(events.subprocess, "Popen", refuse)
    with writer(tmp_path) as out:
        out.write(1, SCALARS)
        out.write(2, SCALARS)
    assert caplog.text.count("Not writing to TensorBoard: Cannot allocate memory") == 1
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


@contextlib.contextmanager
def terminal(monkeypatch):
    """A terminal as stderr, where our logger writes too -> a function that gives the lines it shows by now.

    Not a fixture: pytest puts a stderr of its own in place between a fixture and its test.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))  # 24 lines of 120 columns
    written = b""

    def lines():
        nonlocal written
        # The kernel passes on what is written in pieces and when it likes: all is here when this mark is.
        stream.write("\0")
        stream.flush()
        while not written.endswith(b"\0"):
            written += os.read(master, 2**16)
        written = written.removesuffix(b"\0")
        return shown(written.decode())

    logger = logging.getLogger("ali_jax")
    with os.fdopen(slave, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setattr(logger, "handlers", [logging.StreamHandler(stream)])
        yield lines
    os.close(master)


def shown(written: str) -> list[str]:
    """The lines of a terminal after these characters: what follows a carriage return goes over the line."""
    lines = [""]
    for piece in re.findall(r"\r|\n|[^\r\n]+", written):
        if piece == "\n":
            lines.append("")
            column = 0
        elif piece == "\r":
            column = 0
        else:
            column = column if lines[-1] else 0
            lines[-1] = lines[-1][:column] + piece + lines[-1][column + len(piece) :]
            column += len(piece)
    return [line.rstrip() for line in lines]


def test_a_terminal_shows_a_bar_with_losses_and_speed_below_whole_lines_of_the_log(
    tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO, "ali_jax")
    monkeypatch.setattr(metrics, "Events", lambda folder: metrics.Silent())
    losses = {"loss_discriminator": 0.25, "loss_generator_encoder": 1.75}
    with terminal(monkeypatch) as lines:
        with writer(tmp_path) as out:
            for _ in range(3):
                time.sleep(0.11)  # longer than tqdm waits between two drawings of a bar
                out.advance(1, losses)
            out.write_look(3, {"error": 0.5}, {})
            logging.getLogger("ali_jax.train").info("Something to say.")
            out.write(3, SCALARS)
            *log, bar = lines()
            # No line for the losses: the bar shows them.
            assert log == ["step 3: error 0.5000", "Something to say."]
            assert re.search(r" 3/10 \[.*step.*, \d+ images/s, L_D 0\.250, L_GE 1\.750\]$", bar)
            out.advance(1, losses)
        *log, bar, end = lines()
        assert log == ["step 3: error 0.5000", "Something to say."] and end == ""
        assert re.search(r" 4/10 \[.*step.*, \d+ images/s, L_D 0\.250, L_GE 1\.750\]$", bar)


def test_without_a_terminal_there_is_no_bar_but_lines_of_the_log(tmp_path, capsys, caplog, monkeypatch):
    monkeypatch.setattr(metrics, "Events", lambda folder: metrics.Silent())
    caplog.set_level(logging.INFO, "ali_jax")
    with writer(tmp_path) as out:
        out.advance(5, {"loss_discriminator": 0.25})
        out.write(5, SCALARS)
    [line] = capsys.readouterr().err.splitlines()
    assert re.match(r"step 5 of 10: L_D 0\.5000, L_GE 0\.5000, .*images/s, \d+:\d+ left$", line)


def test_what_is_left_is_told_by_the_rate_since_the_first_line(tmp_path, caplog, monkeypatch):
    """The first interval holds the compilation; a later one, of figures alone, is not what is to come."""
    monkeypatch.setattr(metrics, "Events", lambda folder: metrics.Silent())
    clock = iter([0.0, 100.0, 110.0, 150.0])  # of the start, and of the lines
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: next(clock))
    caplog.set_level(logging.INFO, "ali_jax")
    with metrics.MetricWriter(tmp_path, 0, 40, 1) as out:
        for step in (10, 20, 30):
            out.write(step, SCALARS)
    left = re.findall(r"(\d+:\d+) left", caplog.text)
    assert left == ["05:00", "00:20", "00:25"]  # 30 steps of 10 s, 20 of 1 s, 10 of 2.5 s


def test_the_loss_of_every_term_is_watched():
    """Its share may be NaN where the sum that hides it is not."""
    recorder = metrics.Recorder(Log(), log_every=2, first_step=4)
    bad = {"loss_mine": jnp.array([1.0, jnp.nan, jnp.inf])}
    with pytest.raises(metrics.NotFinite, match="loss_mine is not finite at step 6"):
        recorder.add(7, of_steps(1.0, 1.0, 1.0) | bad)
        recorder.catch_up()
