"""A disk that takes no more, whatever is written: one sentence, and the run goes on when there is room."""

import builtins
import contextlib
import errno
import io
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from conftest import make_tiny_config
from helpers import no_file_longer_than

from ali_jax import train
from ali_jax.errors import UserError

from . import states
from .tally import Case


def of_every_write(whole: Path, scratch: Path) -> Iterator[Case]:
    """The n-th file or folder made, opened for writing or renamed by Python below the workdir is refused."""
    for number in range(1, 200):
        refused = []

        def case(number=number, refused=refused) -> None:
            run_with(lambda workdir: refuse_call(workdir, number, refused), whole, scratch)

        yield f"refused write {number}", case
        if not refused:  # the run makes no more of them than that
            return


def of_every_size(whole: Path, scratch: Path) -> Iterator[Case]:
    """No file may grow beyond so many bytes, whoever writes it (RLIMIT_FSIZE): also those of TensorStore."""
    for size in itertools.chain(range(0, 10_000, 500), (20_000, 40_000, 80_000)):
        yield (
            f"no file beyond {size} bytes",
            lambda size=size: run_with(lambda workdir: no_file_longer_than(size), whole, scratch),
        )


def run_with(hindrance: Callable, whole: Path, scratch: Path) -> None:
    """A run under a hindrance, then one without: it must end as the undisturbed one did."""
    workdir = scratch / "hindered"
    shutil.rmtree(workdir, ignore_errors=True)
    try:
        with hindrance(workdir):
            train.train_and_evaluate(make_tiny_config(), workdir)
    except UserError as error:
        assert "\n" not in str(error) and "cannot be written" in str(error), error
    states.require_same(train.train_and_evaluate(make_tiny_config(), workdir), states.newest(whole)[1])


def refuse_call(workdir: Path, number: int, refused: list) -> contextlib.AbstractContextManager:
    """The call of this number that writes below `workdir` finds the disk full; it is noted in `refused`."""
    count = itertools.count(1)

    def refuse(path) -> None:
        if next(count) == number:
            refused.append(path)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    return before_writes(workdir, refuse)


@contextlib.contextmanager
def before_writes(workdir: Path, do: Callable) -> Iterator[None]:
    """`do(path)` before Python makes, opens for writing or renames a file or folder below `workdir`."""

    def watched(function: Callable, writes: Callable[..., bool]) -> Callable:
        def call(*args, **kwargs):
            below = str(workdir) in os.fspath(args[0]) if not isinstance(args[0], int) else False
            if below and writes(*args, **kwargs):
                do(args[0])
            return function(*args, **kwargs)

        return call

    opened = watched(io.open, lambda file, mode="r", *rest, **kwargs: bool({*mode} & {*"wax+"}))
    always = lambda *args, **kwargs: True  # noqa: E731
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(io, "open", opened))
        stack.enter_context(mock.patch.object(builtins, "open", opened))
        for name in ("mkdir", "rename", "replace"):
            stack.enter_context(mock.patch.object(os, name, watched(getattr(os, name), always)))
        yield
