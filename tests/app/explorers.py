"""Explorers that the tests of what they compute and those of the page share, as fixtures."""

import functools
from pathlib import Path

import numpy as np
import pytest
from helpers import make_conditional_config, untrained

from ali_jax import data, inference, pretrained
from ali_jax.app import gallery
from ali_jax.app.explorer import Explorer


@pytest.fixture
def digits(tiny_workdir):
    return of_digits(tiny_workdir)


@pytest.fixture
def faces():
    return of_faces()


@functools.cache
def of_digits(workdir: Path) -> Explorer:
    """A run on digits beside 60 of them."""
    model, config = inference.load(workdir), pretrained.config_of(workdir)
    return Explorer(model, gallery.load(model, config, most=60), data.Frame((8, 8, 1)))


@functools.cache
def of_faces() -> Explorer:
    """A conditional model beside images of noise."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    attributes = random.integers(0, 2, (20, 40), dtype=np.uint8)
    model = untrained(make_conditional_config(4, 4, 3), x=x[:2], attributes=attributes[:2])
    columns = tuple(f"attribute {k}" for k in range(40))
    known = gallery.Gallery(x, None, attributes, (), columns, "20 images of noise")
    return Explorer(model._replace(step=0), known, data.Frame((4, 4, 3)), conditional=True)
