"""A fitted detector in one file: arrays, and JSON of the rest; nothing in it is run when it is read."""

from pathlib import Path
from typing import Any

import numpy as np

from ali_jax.anomaly.members import Member
from ali_jax.anomaly.neighbours import Neighbours
from ali_jax.anomaly.networks import Plan
from ali_jax.anomaly.scaling import Columns, Components
from ali_jax.anomaly.scores import SCORES, Reference
from ali_jax.roles import Roles
from ali_jax.run import tree_files

FORMAT = 4  # 1: images without textures; 2: without the measure of the fit; 3: without fitted rows


def write(path: Path, detector: Any) -> None:
    """Writes a fitted detector; a random_state that is no number is not kept.

    Raises:
      UserError: the file cannot be written.
    """
    settings = {name: _plain(value) for name, value in detector.get_params(deep=False).items()}
    if not isinstance(settings["random_state"], int | None):
        settings["random_state"] = None
    about = {
        "format": FORMAT,
        "settings": settings,
        "plan": detector.plan_,
        "measure": detector.measure_,
        "shape": detector.shape_,
        "offset": detector.offset_,
        "features": detector.n_features_in_,
        "names": [*getattr(detector, "feature_names_in_", [])],
        "steps": [member.step for member in detector.members_],
    }
    arrays = {"scaling": detector.scaling_._asdict()}
    if detector.neighbours_ is not None:
        arrays["neighbours"] = detector.neighbours_._asdict()
    for number, member in enumerate(detector.members_):
        arrays[str(number)] = {
            "params": member.params._asdict(),
            "batch_stats": member.batch_stats._asdict(),
            "reference": member.reference._asdict(),
        }
    tree_files.write(path, about, arrays, "pass another path")


def read(path: Path, kind: type) -> Any:
    """The detector, of the class `kind`, that `write` left in a file.

    Raises:
      UserError: there is no such file, or it holds no detector.
    """
    with tree_files.reading(path, "detector", "pass a file of Detector.save"):
        about, arrays = tree_files.read(path)
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, not {FORMAT}")
        return _rebuilt(kind, about, arrays)


def _rebuilt(kind: type, about: dict, arrays: dict) -> Any:
    if about["measure"] not in SCORES or not about["steps"] or not np.isfinite(about["offset"]):
        raise ValueError("its measure, members or threshold are none")
    detector = kind(**about["settings"])
    detector.plan_ = tuple(Plan(*about["plan"]))
    detector.shape_, detector.measure_ = tuple(about["shape"]), about["measure"]
    detector.offset_, detector.n_features_in_ = about["offset"], about["features"]
    if about["names"]:
        detector.feature_names_in_ = np.asarray(about["names"], dtype=object)
    detector.scaling_ = (Columns if len(detector.shape_) == 1 else Components)(**arrays["scaling"])
    detector.neighbours_ = Neighbours(**arrays["neighbours"]) if "neighbours" in arrays else None
    detector.members_ = [_member(arrays[str(number)], step) for number, step in enumerate(about["steps"])]
    return detector


def _member(arrays: dict, step: int) -> Member:
    # A network without batch normalisation has no running statistics, and so nothing in the file.
    params, batch_stats = (
        Roles(*(arrays.get(kind, {}).get(role, {}) for role in Roles._fields))
        for kind in ("params", "batch_stats")
    )
    return Member(params, batch_stats, Reference(**arrays["reference"]), step)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
