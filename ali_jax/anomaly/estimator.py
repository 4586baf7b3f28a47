"""The detector that a user holds."""

from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from ali_jax import inference, ranges
from ali_jax.anomaly import files, inputs, members, networks, scaling, scores
from ali_jax.anomaly.evidence import chunks
from ali_jax.anomaly.members import Member
from ali_jax.anomaly.neighbours import neighbours
from ali_jax.errors import UserError, first_line
from ali_jax.paths import local

HELD_OUT = 0.2  # share of the rows that a member is not trained on,
MOST_HELD_OUT = 5000  # and how many that is at most
FEWEST = 20  # rows below which half are held out
LEFT_OUT = 2  # times `contamination` of the examples, the strangest, are not trained on
LAST = "offset_"  # what `fit` sets when all else is there
BEYOND = 1e100  # how strange an example is that the networks have no number for
FLAGGED = 0.05  # share of held-out rows below the threshold where contamination is "auto"


class Detector(OutlierMixin, BaseEstimator):
    """An outlier detector: adversarially learned inference on rows of a table, or on images.

    Fitted on normal examples (strange ones among them cost accuracy), it scores others by how badly a few
    small models bring them back, how unlikely their codes are and, in tables, how far the nearest fitted row
    is. Scaling, sizes, steps and stopping follow from the data: 10 to 50 seconds for a table on a busy core,
    by its rows and columns.

    X is a table (N, columns), of NumPy or pandas, or images, (N, H, W) or (N, H, W, C), uint8 or floats in
    [0, 1].

    Args:
      measure: how strangeness is scored, one of `anomaly.SCORES`; "auto": "neighbour" for tables, "bound"
        for images. "features" and "logits", of ALAD, train its discriminators of (x, x') and (z, z') too.
      contamination: share of the fitted examples that are outliers, in (0, 0.5]: so many `predict` calls so,
        and twice as many, at most half, are left out of training, rows that are strange column by column and
        images that are to a first training; or "auto": the threshold below which 5 % of those held out of
        training lie.
      members: how many models are trained, each from a start and with held-out examples of its own; the score
        is their mean.
      steps: of training, of each member; None: by the number of examples.
      latent_dim: of the codes; None: by the number of columns, or of values that an image is told by.
      width: of the hidden layers.
      random_state: of all that is random; an int gives the same detector every time on a machine.

    Attributes:
      offset_: threshold on `score_samples`.
      n_features_in_: columns, or values of an image; feature_names_in_: names of the columns, of data frames.
      measure_: by which it scores; another `measure` asks for another `fit`.
      shape_: of one example. scaling_: of what networks see. members_: the trained models, as arrays.
      neighbours_: fitted rows that others are compared with; None where the measure asks for none.
    """

    def __init__(
        self,
        measure: str = "auto",
        *,
        contamination: float | str = "auto",
        members: int = 3,
        steps: int | None = None,
        latent_dim: int | None = None,
        width: int = 128,
        random_state: Any = None,
    ):
        self.measure = measure
        self.contamination = contamination
        self.members = members
        self.steps = steps
        self.latent_dim = latent_dim
        self.width = width
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "Detector":
        """Trains on examples X, most of them normal; y is ignored.

        Raises:
          UserError: X or a parameter cannot be used.
        """
        self._check_parameters()
        # A fit that does not end leaves no detector, rather than one of two fits' parts.
        for fitted in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, fitted)
        x = inputs.checked(self, X, fitting=True)
        x = inputs.without_copies(x) if x.ndim == 2 else x
        self.shape_ = x.shape[1:]
        of_shape = scores.OF_TABLES if x.ndim == 2 else scores.OF_IMAGES
        self.measure_ = of_shape if self.measure == "auto" else self.measure
        if self.contamination == "auto":
            shares = self._fit_to(x)
            self.offset_ = float(np.quantile(-self._of_held_out(x, shares), FLAGGED))
            return self
        self._fit_to(self._common(x))
        strangeness = self._strangeness(self.scaling_.apply(x))
        self.offset_ = float(np.percentile(-strangeness, 100 * self.contamination))
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """How normal each example is, (N,): the lower, the stranger."""
        check_is_fitted(self, LAST)
        return -self._strangeness(self.scaling_.apply(inputs.checked(self, X, fitting=False)))

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples` less `offset_`, (N,): below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """1 for what is normal, -1 for outliers: (N,)."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def reconstruct(self, X: Any) -> np.ndarray:
        """G(E(x)) of the first member: rows in units of their columns, images about [0, 1]."""
        check_is_fitted(self, LAST)
        x = self.scaling_.apply(inputs.checked(self, X, fitting=False))
        made = inference.reconstruct(self.members_[0].model(self._plan()), x)
        return self.scaling_.undo(made)

    def save(self, path: str | Path) -> None:
        """Writes the fitted detector to one file, whole or not at all; `load` reads it."""
        check_is_fitted(self, LAST)
        self._check_parameters()  # which may have been set since
        files.write(local(path, "The file"), self)

    @classmethod
    def load(cls, path: str | Path) -> "Detector":
        """The detector that `save` wrote."""
        return files.read(local(path, "The file"), cls)

    def _plan(self) -> networks.Plan:
        return networks.Plan(*self.plan_)

    def _common(self, x: np.ndarray) -> np.ndarray:
        """Examples x (N, ...) without the strangest, twice `contamination` of them and at most half.

        Networks that were trained on outliers bring them back, so rows are judged by each of their values
        alone, as in the score `student`. Values of images say little alone; there a first training judges.
        """
        if x.ndim == 2:
            values = scaling.columns(x).apply(x).astype(np.float64)
            strangeness = np.sum(np.log1p(np.square(values)), axis=1)
        else:
            self._fit_to(x)
            strangeness = self._strangeness(self.scaling_.apply(x))
        return x[strangeness <= np.quantile(strangeness, max(1 - LEFT_OUT * self.contamination, 0.5))]

    def _fit_to(self, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """All that scores examples, of x (N, ...); the `_shares` of the members."""
        self.scaling_ = scaling.columns(x) if x.ndim == 2 else scaling.components(x)
        random = check_random_state(self.random_state)
        x = self.scaling_.apply(x)
        shares = [*_shares(len(x), self.members, random)]
        self.members_ = self._trained(x, shares, random)
        self.neighbours_ = neighbours(x, random) if self.measure_ in scores.OF_ROWS else None
        return shares

    def _of_held_out(self, x: np.ndarray, shares: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """How strange examples of x (N, ...) are to the members that held them out."""
        of_members = zip(self.members_, shares, strict=True)
        return np.concatenate(
            [
                self._strangeness(self.scaling_.unseen(x[out], x[kept]), [one])
                for one, (kept, out) in of_members
            ]
        )

    def _trained(
        self, x: np.ndarray, shares: list[tuple[np.ndarray, np.ndarray]], random: np.random.RandomState
    ) -> list[Member]:
        """A member for each share of x, scaled."""
        sizes = {"latent_dim": self.latent_dim, "width": self.width, "steps": self.steps}
        # As Python's own numbers: a grid of parameters may hold NumPy's, which a config does not take.
        sizes = {name: None if size is None else int(size) for name, size in sizes.items()}
        plan = networks.plan(x.shape[1], len(x), twins=self.measure_ in scores.OF_TWINS, **sizes)
        self.plan_ = tuple(plan)
        with tqdm(
            total=self.members * plan.steps, desc="Fitting", unit="step", disable=None, leave=False
        ) as bar:
            return [
                members.fit(plan, x[kept], x[held_out], int(random.randint(2**31 - 1)), bar)
                for kept, held_out in shares
            ]

    def _strangeness(self, x: np.ndarray, judges: list[Member] | None = None) -> np.ndarray:
        """Of x, scaled: a mean over all members or these, (N,) float64; high is strange."""
        mean = np.mean([self._of_member(member, x) for member in judges or self.members_], axis=0)
        return mean if self.neighbours_ is None else mean + self.neighbours_.strangeness(x)

    def _of_member(self, member: Member, x: np.ndarray) -> np.ndarray:
        score = scores.SCORES[self.measure_]
        found = (score(evidence, member.reference) for evidence in chunks(member.model(self._plan()), x))
        # Networks that were never shown anything so far off may overflow there, which no number orders.
        return np.nan_to_num(np.concatenate([*found]), nan=BEYOND, posinf=BEYOND, neginf=-BEYOND)

    def _check_parameters(self) -> None:
        known = ("auto", *scores.SCORES)
        if not (isinstance(self.measure, str) and self.measure in known):
            raise UserError(f"There is no measure {self.measure!r}; choose of {', '.join(known)}.")
        share = self.contamination
        if not (share == "auto" if isinstance(share, str) else isinstance(share, Real) and 0 < share <= 0.5):
            raise UserError(f"contamination is {share!r}; it must be 'auto' or in (0, 0.5].")
        try:
            check_random_state(self.random_state)
        except ValueError as error:
            raise UserError(
                f"random_state is {self.random_state!r} ({first_line(error)}); pass a whole number."
            ) from None
        counts = {"members": self.members, "width": self.width}
        chosen = {"steps": self.steps, "latent_dim": self.latent_dim}
        counts |= {name: value for name, value in chosen.items() if value is not None}
        for name, value in counts.items():
            ranges.require(name, value, ranges.COUNT)


def _shares(count: int, members: int, random: np.random.RandomState):
    """(rows to train on, rows held out) of each member.

    Members hold out other rows than those before them; where no such are left, they are drawn again. A single
    row is both.
    """
    least = max(min(count, FEWEST) // 2, 1)
    share = min(max(round(HELD_OUT * count), least), MOST_HELD_OUT)
    place = count  # in the order of the rows, of the first that no member has held out
    for _ in range(members):
        if place + share > count:
            order, place = random.permutation(count), 0
        turned = np.roll(order, -place)
        place += share
        yield (turned if share == count else turned[share:]), turned[:share]
