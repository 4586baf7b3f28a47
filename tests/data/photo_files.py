"""Folders of small images of one grey each, by which tests know them, and how they are loaded."""

from pathlib import Path

from PIL import Image

from ali_jax import data

FRAME = data.Frame((4, 4, 3))


def save(path: Path, value: int, size: tuple[int, int] = (5, 4)) -> None:
    """A picture of one grey; its value is what a test knows it by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value,) * 3).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


def load(folder: Path, split: str = "train", frame: data.Frame = FRAME, **options) -> data.Split:
    return data.load(f"images:{folder}", split, frame=frame, **options)


def greys(split: data.Split) -> list[int]:
    return split.x[:, 0, 0, 0].tolist()


def make_photos(folder: Path) -> Path:
    """Forty images of greys 0 to 39, of two classes, of several formats, nested."""
    for value in range(40):
        suffix = ("png", "webp", "jpg", "PNG")[value % 4]
        deeper = "deeper/" * (value % 3 == 0)
        save(folder / ("dog", "cat")[value % 2] / f"{deeper}{value}.{suffix}", value)
    (folder / "notes.txt").write_text("no image")
    save(folder / ".hidden" / "thumbnail.png", 99)
    return folder
