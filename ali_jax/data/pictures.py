"""Images of any size and kind made into arrays of one shape; Pillow is imported inside functions only."""

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ali_jax import ranges
from ali_jax.errors import UserError

FITS = ("crop", "pad", "stretch")


class Frame(NamedTuple):
    """What images are made into, and how many of them may turn out to be none."""

    shape: tuple[int, int, int]  # height, width, channels: 1 for grey, 3 for colour
    fit: str = "crop"  # the middle, as much of it as has the shape; "pad": all of it, on black; "stretch"
    zoom: float = 1.0  # share of the image's sides that is looked at, around its middle
    unreadable: float = 0.01  # share of the images that may be unreadable

    def __str__(self) -> str:
        """What becomes of an image, as the name of a folder."""
        zoom = "" if self.zoom == 1 else f"-{self.zoom:g}"
        return f"{'x'.join(map(str, self.shape))}-{self.fit}{zoom}"


def check(name: str, frame: Frame | None) -> Frame:
    """The frame; a UserError where images of the data set `name` cannot be brought to it."""
    if frame is None:
        raise UserError(f"{name} needs the shape of its images; pass frame=data.Frame((64, 64, 3)).")
    if not isinstance(frame, Frame):
        raise UserError(f"frame is a {type(frame).__name__}; pass data.Frame((64, 64, 3)), or its like.")
    if not isinstance(frame.shape, tuple | list) or not all(type(side) is int for side in frame.shape):
        raise UserError(
            f"The shape of a frame is {frame.shape!r}; pass three whole numbers, as data.Frame((64, 64, 3))."
        )
    if len(frame.shape) != 3 or frame.shape[2] not in (1, 3) or min(frame.shape) < 1:
        raise UserError(
            f"Images of {name} cannot have the shape {tuple(frame.shape)} of config.model.x_shape; it must "
            "be a height, a width, and 1 channel for grey or 3 for colour."
        )
    if frame.fit not in FITS:
        raise UserError(f"config.images.fit is {frame.fit!r}; it must be one of {', '.join(FITS)}.")
    for field in ("zoom", "unreadable"):
        ranges.require(f"config.images.{field}", getattr(frame, field), ranges.FIELDS[f"images.{field}"])
    return frame


def read(file: Path | BinaryIO, frame: Frame) -> np.ndarray:
    """An image file, or an open one, as uint8 `frame.shape`, turned as its camera says.

    Raises:
      Exception: whatever Pillow's decoders raise for a file that they cannot read.
    """
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        # A JPEG much larger than needed is decoded at a fraction of its size, in as little of the time.
        side = round(2 * max(frame.shape[:2]) / frame.zoom)
        image.draft(None, (side, side))
        image.load()  # here, so that what cannot be decoded is told from what says nothing of its camera
        try:
            turned = ImageOps.exif_transpose(image)
        except Exception:  # of a damaged block of EXIF, beside a sound image
            turned = image
        return fit(turned, frame)


def fit(image: Any, frame: Frame) -> np.ndarray:
    """A Pillow image as uint8 `frame.shape`."""
    from PIL import Image

    height, width, channels = frame.shape
    image = in_colours(image, channels)
    box = _middle(image.size, frame.zoom, width / height if frame.fit == "crop" else None)
    size = (width, height)
    if frame.fit == "pad":
        scale = min(width / (box[2] - box[0]), height / (box[3] - box[1]))
        size = tuple(max(1, round(scale * (box[i + 2] - box[i]))) for i in (0, 1))
    x = np.zeros(frame.shape, np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    resized = np.asarray(image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3.0))
    x[top : top + size[1], left : left + size[0]] = resized.reshape(size[1], size[0], channels)
    return x


def in_colours(image: Any, channels: int) -> Any:
    """A Pillow image in 8 bits a channel: grey of 1 channel, RGB of 3, and white where it is transparent.

    Raises:
      ValueError: it has more bits, and nothing says which number is white.
    """
    return _opaque(image).convert("L" if channels == 1 else "RGB")


def as_arrays(images: list | tuple, channels: int, name: str) -> list:
    """Pillow's images among these as uint8 arrays (H, W, channels); others as they are.

    Raises:
      UserError: one has more than 8 bits, see `in_colours`; `name` is what it is an image of.
    """
    try:
        return [np.atleast_3d(in_colours(i, channels)) if hasattr(i, "getbands") else i for i in images]
    except ValueError as error:
        raise UserError(f"An image of {name} cannot be used ({error}); convert it to 8 bits.") from None


def _opaque(image: Any) -> Any:
    """The image in 8 bits a channel, and what is transparent white."""
    from PIL import Image

    if image.mode[0] in "IF":  # grey of 16 or 32 bits, which Pillow would clip
        return Image.fromarray(_eight_bits(np.asarray(image), whole=image.mode[0] == "I"))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def _eight_bits(x: np.ndarray, whole: bool) -> np.ndarray:
    """Grey of more bits as uint8: floats, of which 1 is white, and whole numbers, of which 65535 is.

    Of others white cannot be told by one image: a dark one among brighter ones would come out the brighter.

    Raises:
      ValueError: the numbers are in none of these ranges, or whole ones of 32 bits that 8 would hold.
    """
    low, high, white = x.min(), x.max(), 65535 if whole else 1
    if not (low >= 0 and high <= white):
        raise ValueError(f"its values are from {low:g} to {high:g}, and white is {white}")
    if x.dtype.itemsize > 2 and whole and 0 < high <= 255:
        raise ValueError(f"its values have 32 bits and go to {high}; save it in 8 bits, or in 16")
    return np.uint8(x >> 8) if whole else np.uint8(np.round(x * 255))


def _middle(size: tuple[int, int], zoom: float, aspect: float | None) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the part around the middle: of this width / height, or the image's."""
    width, height = size
    aspect = aspect or width / height
    across = min(width, height * aspect)
    down = min(height, across / aspect)
    left, top = (width - across * zoom) / 2, (height - down * zoom) / 2
    return left, top, left + across * zoom, top + down * zoom
