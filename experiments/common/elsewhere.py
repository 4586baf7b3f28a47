"""Scripts that run in an opponent's own environment, which has none of ours."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ali_jax.errors import UserError


def run(name: str, python: str, script: Path, arguments: Sequence[str] = (), given: str | None = None) -> str:
    """What a script prints, run by the interpreter `python`.

    Args:
      name: of the opponent, for messages.
      python: the interpreter.
      script: a file.
      arguments: of its command line.
      given: what it reads from its standard input.

    Raises:
      UserError: it cannot be started, or fails.
    """
    command = [python, str(script), *arguments]
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True)
    except OSError as error:
        raise UserError(f"{python} cannot be started ({error.strerror}).") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise UserError(f"{name} ended with status {done.returncode} in {python} ({last[0]}).")
    return done.stdout
