"""results.json: numbers together with what they were measured on."""

import io
import json
import os
from pathlib import Path

import matplotlib.image
import numpy as np
from matplotlib.figure import Figure

from ali_jax.errors import UserError
from ali_jax.files import save_png, write_whole, writing
from ali_jax.paths import local
from ali_jax.run import provenance

RESULTS = Path(__file__).parent.parent / "results"  # those worth keeping
ENVIRONMENT = (  # they change what is measured
    "GLIBC_TUNABLES",
    "XLA_FLAGS",
    "JAX_PLATFORMS",
    "JAX_DEFAULT_MATMUL_PRECISION",
)


def output(asked: str | None, workdir: Path, name: str) -> Path:
    """The folder for results, made: --output where it was given, else <workdir>/results/<name>."""
    return asked_output(asked) or _made(workdir / "results" / name)


def asked_output(asked: str | None) -> Path | None:
    """The folder of --output, made; None where it was not given."""
    return None if asked is None else _made(local(asked, "--output"))


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory} cannot be made ({error.strerror}); pass another --output.") from None
    return directory


def write(directory: Path, results: dict, training: dict | None = None) -> Path:
    """Writes results.json into `directory`, with the command, date, hardware and versions.

    Args:
      training: how that of the model that was measured was begun; None: no model was.
    """
    known = _measured_by() | ({} if training is None else {"training": training})
    return save_text(directory, "results.json", json.dumps(known | results, indent=2) + "\n")


def save_text(directory: Path, name: str, text: str) -> Path:
    """Writes a file into `directory`; a UserError where that cannot be written."""
    path = Path(directory) / name
    with writing(directory):
        write_whole(path, text.encode())
    return path


def save_image(directory: Path, name: str, image: np.ndarray) -> None:
    """uint8 (H, W, 3) -> <name>.png and, for papers, <name>.pdf with the same pixels."""
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, image, format="pdf")  # Pillow's PDFs hold a JPEG of it.
    with writing(directory):
        save_png(directory / f"{name}.png", image)
        write_whole(directory / f"{name}.pdf", buffer.getvalue())


def save_plot(directory: Path, name: str, figure: Figure) -> None:
    """A figure of matplotlib -> <name>.png and <name>.pdf."""
    for suffix in ("png", "pdf"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=80)
        with writing(directory):
            write_whole(directory / f"{name}.{suffix}", buffer.getvalue())


def _measured_by() -> dict:
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return {"command": provenance.command(), **provenance.of_here(), "environment": environment}
