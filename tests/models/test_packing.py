"""D of packs of m pairs, against the same packs made by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_conditional_config, play, untrained

from ali_jax import build, inference, models
from ali_jax.errors import UserError
from ali_jax.models.discriminator import pack

X = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)


def test_examples_of_a_pack_stand_side_by_side_along_the_last_axis():
    points = jnp.array([[1, 2], [3, 4], [5, 6], [7, 8]])
    np.testing.assert_array_equal(pack(points, 2), [[1, 2, 3, 4], [5, 6, 7, 8]])
    images = jnp.asarray(X[:6])
    packed = pack(images, 3)
    assert packed.shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(packed[1, ..., 2:], X[5])
    assert pack(None, 2) is None and pack(points, 1) is points
    with pytest.raises(ValueError, match="4 examples do not make packs of 3"):
        pack(points, 3)


def packed_game(config, **batch):
    config.model.packing, config.model.init_std = 2, 0.3
    game = build.game(config)
    return game, jax.jit(game.init)(jax.random.key(0), batch=batch)


def test_a_round_is_judged_as_packs_made_by_hand(tiny_config):
    tiny_config.model.discriminator_x_head = (("dense", 1, 1, 1, False, 0.0, "linear", "tied"),)
    game, state = packed_game(tiny_config, x=X)
    outcome = play(game.networks, state.params, state, {"x": X})
    round_ = outcome.round

    def by_hand(real, generated):
        """(M, ..., C) each -> (M, ..., 2 C): a pack of two real ones, a pack of two generated, ..."""
        rows = [jnp.concatenate([a[i], a[i + 1]], -1) for i in range(0, 16, 2) for a in (real, generated)]
        return jnp.stack(rows)

    pairs = by_hand(round_.x, round_.x_tilde), by_hand(round_.encoding.z, round_.z)
    key = jax.random.split(jax.random.fold_in(state.key, state.step), 4)[2]
    variables = {"params": state.params.discriminator, "batch_stats": state.batch_stats.discriminator}
    single = game.networks.discriminator.clone(packing=1)
    options = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": key}}
    judged, stats = jax.jit(lambda: single.apply(variables, *pairs, **options))()
    assert judged.joint.shape == (16, 1) and round_.real.score.shape == round_.generated.x.shape == (8,)
    for name in ("joint", "score", "x", "hidden"):
        whole = getattr(judged, name)
        np.testing.assert_allclose(getattr(round_.real, name), whole[0::2], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(getattr(round_.generated, name), whole[1::2], rtol=1e-5, atol=1e-6)
    after = outcome.batch_stats.discriminator
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), after, stats["batch_stats"])


def test_whole_packs_change_places_and_examples_of_a_pack_do_not(tiny_config):
    game, state = packed_game(tiny_config, x=X)
    model = inference.of_state(game.networks, state)
    z = np.random.default_rng(1).normal(size=(16, 3)).astype(np.float32)
    score = inference.judge(model, X, z).score
    assert score.shape == (8,)
    packs = np.arange(16).reshape(8, 2)[::-1]
    np.testing.assert_allclose(
        inference.judge(model, X[packs.ravel()], z[packs.ravel()]).score, score[::-1], rtol=1e-5
    )
    turned = np.arange(16).reshape(8, 2)[:, ::-1].ravel()
    assert not np.allclose(inference.judge(model, X[turned], z[turned]).score, score, rtol=1e-3)


def test_chunks_hold_whole_packs(tiny_config, monkeypatch):
    game, state = packed_game(tiny_config, x=X)
    model, z = inference.of_state(game.networks, state), np.ones((16, 3), np.float32)
    whole = inference.judge(model, X, z).score
    monkeypatch.setattr(inference.chunks, "CHUNK", 5)
    np.testing.assert_allclose(inference.judge(model, X, z).score, whole, rtol=1e-5)
    with pytest.raises(UserError, match="judges 2 pairs together, and 15 are no multiple"):
        inference.judge(model, X[:15], z[:15])


def test_an_embedding_sees_the_attributes_of_the_whole_pack():
    """A linear map of both vectors side by side: each place in the pack has weights of its own."""
    config = make_conditional_config(1, 1, 3)
    config.model.packing = 2
    x, y = np.zeros((4, 1, 1, 3), np.uint8), np.eye(4, 40, dtype=np.uint8)
    model = untrained(config, x=x, attributes=y)
    number = next(
        i for i, row in enumerate(config.model.discriminator_joint, 1) if row[0].startswith("embed")
    )
    assert model.params.discriminator["joint_stack"][f"layer_{number}"]["kernel"].shape[0] == 80
    z = np.zeros((4, 4), np.float32)
    score = inference.judge(model, x, z, y).score
    assert score.shape == (2,)
    swapped = inference.judge(model, x, z, y[[1, 0, 2, 3]]).score
    assert swapped[0] != score[0] and swapped[1] == score[1]


def test_a_step_trains_all_that_D_has_and_repeats_itself(tiny_config):
    game, state = packed_game(tiny_config, x=X)
    step = jax.jit(game.step)
    (after, metrics), (again, _) = step(state, {"x": X}), step(state, {"x": X})
    jax.tree.map(np.testing.assert_array_equal, after.params, again.params)
    assert np.isfinite([*metrics.values()]).all()
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), after.params, state.params)
    assert all(jax.tree.leaves(moved.discriminator))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 15}, r"packs of 2 pairs .*a batch has 15 examples \(config\.batch_size\)"),
        (
            {"terms": {"labels": {}, "adversarial": {}}, "num_labels": 20},
            "labels, which are of single examples, cannot be learned",
        ),
    ],
)
def test_what_does_not_go_with_packs_is_named(tiny_config, changes, words):
    tiny_config.model.packing = 2
    for field, value in changes.items():
        tiny_config[field] = value
    with pytest.raises(UserError, match=words):
        build.game(tiny_config)


@pytest.mark.parametrize("packing", [0, 1.5, "2"])
def test_a_packing_that_is_no_count_is_named(tiny_config, packing):
    with pytest.raises(UserError, match=r"config\.model\.packing is"):
        models.build({**tiny_config.model.to_dict(), "packing": packing})
