import sys
import types

import pytest

from ali_jax.errors import UserError
from ali_jax.run import command_line
from ali_jax.run.command_line import _tell_unraisable
from ali_jax.run.signals import Stopped


def test_of_what_nobody_waits_for_orbaxs_own_is_not_told(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "__unraisablehook__", told.append)

    def left_behind(file):
        defined = {}
        exec(compile("async def read(): ...", file, "exec"), defined)
        coroutine = defined["read"]()
        coroutine.close()
        return types.SimpleNamespace(object=coroutine, exc_value=ValueError("a shape"))

    for file in ("/site-packages/orbax/checkpoint/handlers.py", "/home/user/loop.py"):
        _tell_unraisable(left_behind(file))
    _tell_unraisable(types.SimpleNamespace(object=None, exc_value=RuntimeError("Event loop is closed")))
    assert [one.object.cr_code.co_filename for one in told] == ["/home/user/loop.py"]


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (UserError("It is wrong."), "Error: It is wrong.", ""),
        (KeyboardInterrupt(), "Stopped by Ctrl-C.", ""),
        (Stopped("Stopped; it goes on."), 75, "Stopped; it goes on.\n"),
    ],
)
def test_what_was_stopped_ends_in_one_line_and_is_no_success(monkeypatch, capsys, raised, code, said):
    def interrupted(*arguments, **named):
        raise raised

    monkeypatch.setattr(command_line.app, "run", interrupted)
    for done_once in ("define_shared_flags", "log_to_stderr", "note_interrupts"):
        monkeypatch.setattr(command_line, done_once, lambda: None)
    with pytest.raises(SystemExit) as ended:
        command_line.run(print, lambda: None)
    assert ended.value.code == code  # Python writes a string to stderr and exits with 1
    assert capsys.readouterr().err == said


def test_a_platform_that_is_not_there_is_told_wherever_devices_are_first_asked_for(monkeypatch):
    def fail(argv):
        raise AssertionError

    with pytest.raises(AssertionError):  # of a defect, as the platform is there
        command_line.on_devices(fail, [])

    def refuse():
        raise RuntimeError("There is no cuda")

    monkeypatch.setattr(command_line.devices.jax, "devices", refuse)
    with pytest.raises(UserError, match=r"cannot start the platform .*There is no cuda"):
        command_line.on_devices(fail, [])
