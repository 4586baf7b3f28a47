"""What a page computes: images along directions of z, what E makes of an image, what is between two."""

import functools
import io
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
from PIL import UnidentifiedImageError
from sklearn.neighbors import NearestNeighbors

from ali_jax import inference
from ali_jax.app.gallery import Gallery
from ali_jax.data import Frame, pictures
from ali_jax.data.labels import UNLABELLED
from ali_jax.data.splits import as_floats
from ali_jax.errors import UserError, first_line
from ali_jax.inference import directions
from ali_jax.inference.directions import Direction

PRINCIPAL = "principal directions"
DRAWS = 4  # from q(z|x), of an image
NEIGHBOURS = 8
STEPS = 32  # between two images
REACH = 3.0  # of a slider, in steps of its direction, either way


class Picture(NamedTuple):
    """An image as the model takes it."""

    x: np.ndarray  # uint8 or float32 in [0, 1], (H, W, C)
    attributes: np.ndarray | None  # float32 (A,), of a conditional model
    name: str
    row: int | None = None  # in the gallery


class View(NamedTuple):
    """What E and G make of an image."""

    code: np.ndarray  # mu, (n,)
    through_mu: np.ndarray  # (H, W, C)
    draws: np.ndarray  # through draws of z, (DRAWS, H, W, C)
    error: float  # mean squared error of through_mu, over pixels in [0, 1]
    error_of_draws: float  # the mean of theirs
    error_of_mean: float  # of the mean image of the gallery, for comparison
    rows: np.ndarray  # of the nearest neighbours of mu in the gallery
    distances: np.ndarray  # from their mu


class Explorer:
    """A model and a gallery; the codes of the gallery, and directions among them, are found once.

    Attributes:
      codes: mu of the gallery, (N, n).
      directions: title -> directions, of PRINCIPAL, and of classes and attributes where they are known.
    """

    def __init__(self, model: inference.Model, gallery: Gallery, frame: Frame, conditional: bool = False):
        self.model, self.gallery, self.frame, self.conditional = model, gallery, frame, conditional
        attributes = np.float32(gallery.attributes) if conditional else None
        self.codes = inference.encode(model, gallery.x, attributes)
        self.directions = self._find_directions(attributes)
        self._mean = gallery.x.mean(axis=0) / 255
        self._search = NearestNeighbors(algorithm="brute").fit(self.codes)

    def _find_directions(self, attributes: np.ndarray | None) -> dict[str, list[Direction]]:
        found = {PRINCIPAL: directions.principal(self.model, self.codes, attributes)}
        for title, groups in self.gallery.groups().items():
            if title == "attributes" and self.conditional:
                continue  # G is told them, beside z
            if title == "classes" and not self._labelled().any():
                continue  # of these images none is said to be of one
            rows = self._labelled() if title == "classes" else slice(None)
            towards = self._towards(groups, rows, attributes)
            if title == "attributes":
                towards.sort(key=lambda direction: -direction.change)
            found[title] = towards
        return {title: group for title, group in found.items() if group}

    def _labelled(self) -> np.ndarray:
        """(N,) bool: others may well be of the class that they are not said to be of."""
        return np.asarray(self.gallery.label) != UNLABELLED

    def _towards(
        self, groups: dict[str, np.ndarray], rows: np.ndarray | slice, attributes: np.ndarray | None
    ) -> list[Direction]:
        of_rows = {name: members[rows] for name, members in groups.items()}
        told = None if attributes is None else attributes[rows]
        return directions.towards(self.model, self.codes[rows], of_rows, told)

    # --- Images ---------------------------------------------------------------------------------------

    def read(self, content: bytes, name: str, attributes: np.ndarray | None = None) -> Picture:
        """The picture of a file's content, brought to the model's shape as images of the user's own are.

        Raises:
          UserError: it is no image.
        """
        try:
            return Picture(pictures.read(io.BytesIO(content), self.frame), attributes, name)
        except Exception as error:  # Pillow's decoders raise whatever they like
            unknown = isinstance(error, UnidentifiedImageError)  # whose message names an object of Python's
            reason = "its format is none that Pillow knows" if unknown else first_line(error)
            raise UserError(
                f"{name} cannot be read as an image ({reason}); drop a PNG, a JPEG or a WebP."
            ) from error

    def picture(self, row: int) -> Picture:
        """An image of the gallery."""
        attributes = np.float32(self.gallery.attributes[row]) if self.conditional else None
        kind = self.gallery.class_of(row)
        return Picture(
            self.gallery.x[row], attributes, f"image {row + 1}" + f", class {kind}" * bool(kind), row
        )

    # --- Codes ----------------------------------------------------------------------------------------

    def draw(self, seed: int) -> np.ndarray:
        """A code from the prior, (n,)."""
        return np.asarray(self.model.networks.generator.sample_prior(jax.random.key(seed), 1))[0]

    def encode(self, picture: Picture) -> np.ndarray:
        """mu of a picture, (n,)."""
        return inference.encode(self.model, picture.x[None], _one(picture.attributes))[0]

    def move(self, start: np.ndarray, amounts: Mapping[tuple[str, int], float]) -> np.ndarray:
        """The code (n,) that is so many steps from `start` along directions, by title and place."""
        steps = (amount * self.directions[title][place].step for (title, place), amount in amounts.items())
        return np.float32(sum(steps, start))

    def decode(self, code: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
        """G of a code (n,): (H, W, C)."""
        return inference.decode(self.model, code[None], _one(attributes))[0]

    def ends(self, start: np.ndarray, attributes: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """G at either end of every slider: title -> (D, 2, H, W, C)."""
        steps = [direction.step for group in self.directions.values() for direction in group]
        codes = start + REACH * np.stack([np.negative(steps), steps], axis=1)  # (D, 2, n)
        if attributes is not None:
            attributes = np.tile(attributes, (2 * len(steps), 1))
        decoded = inference.decode(self.model, np.float32(codes.reshape(2 * len(steps), -1)), attributes)
        decoded = decoded.reshape(len(steps), 2, *decoded.shape[1:])
        sizes = np.cumsum([len(group) for group in self.directions.values()])[:-1]
        return dict(zip(self.directions, np.split(decoded, sizes), strict=True))

    @functools.cached_property
    def usual_length(self) -> tuple[float, float]:
        """Between which two the length of nine codes in ten is."""
        low, high = np.percentile(np.linalg.norm(self.codes, axis=1), [5, 95])
        return float(low), float(high)

    # --- Of one image, and of two ---------------------------------------------------------------------

    def view(self, picture: Picture) -> View:
        """What E and G make of a picture, and its nearest neighbours but itself."""
        several = np.repeat(picture.x[None], DRAWS, axis=0)
        attributes = None if picture.attributes is None else np.tile(picture.attributes, (DRAWS, 1))
        draws = inference.reconstruct(self.model, several, attributes, jax.random.key(0))
        code = self.encode(picture)
        through_mu = self.decode(code, picture.attributes)
        x = as_floats(picture.x)
        errors = (float(np.mean(np.square(other - x))) for other in (through_mu, draws, self._mean))
        return View(code, through_mu, draws, *errors, *self.nearest(code, picture.row))

    def nearest(self, code: np.ndarray, but: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the gallery whose mu is nearest to a code, closest first, and their distances."""
        count = min(NEIGHBOURS + 1, len(self.codes))
        distances, rows = (found[0] for found in self._search.kneighbors(code[None], count))
        others = np.flatnonzero(rows != but)[:NEIGHBOURS]
        return rows[others], distances[others]

    def between(self, first: Picture, second: Picture, arc: bool = False) -> np.ndarray:
        """From the reconstruction of one picture to that of another: (STEPS + 1, H, W, C)."""
        return inference.interpolate(
            self.model,
            first.x[None],
            second.x[None],
            STEPS,
            _one(first.attributes),
            attributes2=_one(second.attributes),
            path=inference.spherical if arc else inference.linear,
        )[0]


def _one(attributes: np.ndarray | None) -> np.ndarray | None:
    return None if attributes is None else attributes[None]
