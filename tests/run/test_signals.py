import contextlib
import os
import signal

import pytest

from ali_jax.run.signals import note_interrupts, stop_signals


@pytest.fixture
def before():
    """Python's own handler of Ctrl-C, and afterwards what there was, of SIGTERM too."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_an_interrupt_that_went_unheard_stops_where_training_would_begin(before):
    note_interrupts()
    with stop_signals() as stop:
        assert not stop
    with contextlib.suppress(KeyboardInterrupt):  # as a callback of C code drops it
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_signals():
        pytest.fail("training began")


def test_an_interrupt_that_is_heard_ends_a_program_at_once(before):
    note_interrupts()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_that_a_shell_ignores_stays_ignored(before):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("ignored", [None, signal.SIGINT, signal.SIGTERM])
def test_within_another_it_is_the_same_list(before, ignored):
    """Or who trains a part of something would go on with the rest."""
    if ignored:
        signal.signal(ignored, signal.SIG_IGN)
    with stop_signals() as outer, stop_signals() as inner:
        assert inner is outer
