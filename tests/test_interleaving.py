"""Pairs of both kinds as one batch for D, and back."""

import jax.numpy as jnp
import numpy as np

from ali_jax.interleaving import interleave, part, twice
from ali_jax.models import judgement


def test_pairs_come_in_turn():
    real, generated = jnp.arange(3)[:, None], 10 + jnp.arange(3)[:, None]
    np.testing.assert_array_equal(interleave(real, generated)[:, 0], [0, 10, 1, 11, 2, 12])
    np.testing.assert_array_equal(twice(real)[:, 0], [0, 0, 1, 1, 2, 2])
    assert twice(None) is None


def test_packs_of_each_kind_come_in_turn():
    real, generated = jnp.arange(4)[:, None], 10 + jnp.arange(4)[:, None]
    np.testing.assert_array_equal(interleave(real, generated, 2)[:, 0], [0, 1, 10, 11, 2, 3, 12, 13])


def test_parts_are_what_was_interleaved():
    real, generated = jnp.arange(6.0).reshape(3, 2), -jnp.arange(6.0).reshape(3, 2)
    whole = judgement(interleave(real, generated), x=interleave(real[:, 0], generated[:, 0]))
    for which, expected in enumerate((real, generated)):
        of_kind = part(whole, which)
        np.testing.assert_array_equal(of_kind.joint, expected)
        np.testing.assert_array_equal(of_kind.x, expected[:, 0])
        assert of_kind.z is None and of_kind.hidden is None
