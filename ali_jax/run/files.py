"""Files that are there whole or not at all."""

import io
import os
from pathlib import Path

import numpy as np


def save_png(path: Path, image: np.ndarray) -> None:
    """uint8 (H, W, 3) -> a PNG file, whole or not at all."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    write_whole(path, buffer.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file in one stroke: who reads it finds the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
