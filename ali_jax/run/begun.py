"""How a run was begun, in its workdir's begun.json: by which command, on what, and from which networks."""

import json
from pathlib import Path
from typing import Any

from ali_jax.errors import UserError
from ali_jax.run.checkpoints import kept_steps

NAME = "begun.json"


def read(workdir: Path) -> dict[str, Any]:
    """`command`, `date`, `hardware`, `versions`, and `init_from` (`source`, `step`, `sha256`), if known."""
    path = Path(workdir) / NAME
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        if isinstance(found, dict):
            return found
    except (OSError, ValueError):
        pass
    raise UserError(f"{path} is damaged; restore it, or use another workdir.")


def goes_on(workdir: Path, source: str | Path | None) -> bool:
    """Whether a run has a checkpoint to go on from and was begun from this source.

    What the source holds by now does not matter then: it may have been trained further, or be gone.
    """
    was = read(workdir).get("init_from") or {}
    return bool(kept_steps(workdir)) and was.get("source") == (None if source is None else str(source))


def check(workdir: Path, begun: dict[str, Any]) -> None:
    """Raises UserError where a run that is there would go on from other networks than it started from."""
    if not (workdir / "config.json").exists():
        return
    before, now = (start.get("init_from") or {} for start in (read(workdir), begun))
    if before.get("sha256") != now.get("sha256"):
        was, is_now = (
            f"from {start['source']} at step {start['step']}" if start else "afresh"
            for start in (before, now)
        )
        raise UserError(
            f"{workdir} was begun {was}, not {is_now}; pass the same --init_from, as it was then, or another "
            "--workdir."
        )
