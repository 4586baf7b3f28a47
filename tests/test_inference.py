import shutil

import jax
import numpy as np
import pytest
from conftest import load_config, make_tiny_config
from helpers import make_conditional_config, truncate, untrained

from ali_jax import build, data, inference, train
from ali_jax.errors import UserError
from ali_jax.run import checkpoints
from ali_jax.run.checkpoints import Checkpoints
from ali_jax.run.workdirs import claim


@pytest.fixture(scope="module")
def images():
    return data.load("digits", "test").x[:5]


@pytest.fixture(scope="module")
def model(images):
    config = make_tiny_config()
    config.model.init_std = 0.3
    return untrained(config, x=images)


def test_load_gives_the_model_that_was_saved(tmp_path, tiny_config, images):
    claim(tmp_path, tiny_config)
    init = jax.jit(build.game(tiny_config).init)
    states = {step: init(jax.random.key(step), batch={"x": images}) for step in (4, 12)}
    with checkpoints.Checkpoints(tmp_path) as saved:
        for step, state in states.items():
            saved.save(step, state)
    for wanted, step in ((None, 12), (4, 4)):
        loaded = inference.load(tmp_path, wanted)
        jax.tree.map(np.testing.assert_array_equal, loaded.params, states[step].params)
        jax.tree.map(np.testing.assert_array_equal, loaded.batch_stats, states[step].batch_stats)


def test_load_says_what_is_wrong_with_a_workdir(tmp_path, tiny_config):
    with pytest.raises(UserError, match=r"no config\.json"):
        inference.load(tmp_path)
    claim(tmp_path, tiny_config)
    with pytest.raises(UserError, match="no checkpoint"):
        inference.load(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]  # nothing is made


def test_load_leaves_the_workdir_as_it_is(tmp_path, tiny_workdir, images, caplog):
    """Also where it falls back from a damaged checkpoint to the one before."""
    workdir = shutil.copytree(tiny_workdir, tmp_path / "copy")

    def listing():
        return {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}

    before = listing()
    earlier = inference.load(workdir, step=8)
    inference.load(workdir)
    assert listing() == before

    truncate(workdir / "checkpoints" / "12")
    before = listing()
    fallen_back = inference.load(workdir)
    assert listing() == before
    assert "step 12 cannot be read" in caplog.text
    np.testing.assert_array_equal(inference.encode(fallen_back, images), inference.encode(earlier, images))


def test_shapes_and_ranges(model, images):
    samples = inference.sample(model, jax.random.key(0), 7)
    assert samples.shape == (7, 8, 8, 1) and 0 <= samples.min() <= samples.max() <= 1
    assert inference.encode(model, images).shape == (5, 3)
    assert inference.reconstruct(model, images).shape == (5, 8, 8, 1)
    assert inference.interpolate(model, images, images[::-1], steps=4).shape == (5, 5, 8, 8, 1)


def test_uint8_and_unit_floats_are_the_same_images(model, images):
    np.testing.assert_allclose(
        inference.encode(model, images), inference.encode(model, images / np.float32(255)), rtol=1e-5
    )


def test_without_a_key_the_code_is_the_mean_and_with_one_a_draw(model, images):
    mean = inference.encode(model, images)
    np.testing.assert_array_equal(mean, inference.features(model, images)["mu"])
    one, other = (inference.encode(model, images, key=jax.random.key(i)) for i in (0, 1))
    assert not np.array_equal(one, other)
    many = np.tile(images, (500, 1, 1, 1))
    draws = inference.encode(model, many, key=jax.random.key(2)).reshape(500, 5, 3)
    deviation = np.std(draws, axis=0)
    assert (abs(np.mean(draws, axis=0) - mean) < 5 * deviation / np.sqrt(500)).all()


def test_interpolations_begin_and_end_with_the_reconstructions(model, images):
    along = inference.interpolate(model, images, images[::-1], steps=3)
    np.testing.assert_allclose(along[:, 0], inference.reconstruct(model, images), atol=1e-6)
    np.testing.assert_allclose(along[:, -1], inference.reconstruct(model, images[::-1]), atol=1e-6)


def test_features_are_every_layer_before_its_nonlinearity(model, images):
    features = inference.features(model, images)
    assert {name: value.shape for name, value in features.items()} == {
        "layer_1": (5, 12),
        "layer_2": (5, 6),
        "mu": (5, 3),
    }
    assert (features["layer_1"] < 0).any()
    np.testing.assert_array_equal(features["layer_2"][:, :3], features["mu"])


def test_chunks_change_nothing(model, images, monkeypatch):
    whole = inference.encode(model, images)
    monkeypatch.setattr(inference.chunks, "CHUNK", 2)
    np.testing.assert_allclose(inference.encode(model, images), whole, rtol=1e-5, atol=1e-6)


def test_chunks_have_one_size_and_the_next_is_begun_before_one_is_fetched():
    """So that nothing compiles twice, and the device does not wait."""
    sizes = []

    def run(x, absent):
        assert absent is None
        sizes.append(len(x))
        return {"sums": x.reshape(-1, 2, *x.shape[1:]).sum(axis=1)}  # packs of two

    chunks = inference.chunks.each_chunk(run, np.arange(14), None, size=4, packing=2)
    assert next(chunks)["sums"].tolist() == [1, 5] and sizes == [4, 4]
    assert [c["sums"].tolist() for c in chunks] == [[9, 13], [17, 21], [25]] and sizes == [4] * 4


def test_a_conditional_model_listens_to_its_attributes():
    x, y = np.zeros((2, 1, 1, 3), np.uint8), np.eye(2, 40, dtype=np.uint8)
    model = untrained(make_conditional_config(1, 1, 3), x=x, attributes=y)
    codes = inference.encode(model, x, y)
    assert not np.allclose(codes[0], codes[1])  # the same image, other attributes
    pictures = inference.decode(model, codes[[0, 0]], y)
    assert not np.allclose(pictures[0], pictures[1])
    between = inference.interpolate(model, x, x, steps=2, attributes=y)
    np.testing.assert_allclose(between[:, 0], inference.reconstruct(model, x, y), atol=1e-6)
    between = inference.interpolate(model, x, x, steps=2, attributes=y, attributes2=y[::-1])
    np.testing.assert_allclose(between[:, -1], inference.reconstruct(model, x, y[::-1]), atol=1e-6)


def test_a_plain_gan_cannot_encode():
    networks = build.game(load_config("mixture", "gan")).networks
    with pytest.raises(UserError, match="no encoder"):
        inference.encode(inference.Model(networks, None, None), np.zeros((1, 2)))


@pytest.mark.parametrize("given", ["digits", None, {"params": 1}])
def test_what_is_no_model_is_told_how_to_become_one(given, images):
    key, z = jax.random.key(0), np.zeros((1, 4), np.float32)
    words = f"The first argument is a {type(given).__name__} and no model; make one with inference.load"
    for call in (
        lambda: inference.encode(given, images),
        lambda: inference.reconstruct(given, images),
        lambda: inference.features(given, images),
        lambda: inference.sample(given, key, 1),
        lambda: inference.decode(given, z),
        lambda: inference.judge(given, images, z),
        lambda: inference.class_probabilities(given, images),
        lambda: inference.interpolate(given, images, images),
    ):
        with pytest.raises(UserError, match=words):
            call()


def test_no_examples_is_said(model):
    with pytest.raises(UserError, match="no examples"):
        inference.encode(model, np.zeros((0, 8, 8, 1), np.uint8))


def test_a_traced_value_a_mask_and_a_swapped_key_are_told(model, images):
    z = np.zeros((1, model.networks.generator.latent_dim), np.float32)
    with pytest.raises(UserError, match=r"z is traced, by jax.jit, .* call the networks"):
        jax.grad(lambda z: inference.decode(model, z).sum())(z)
    module, variables = model.networks.generator, model.variables("generator")  # as the sentence says
    slope = jax.grad(lambda z: module.apply(variables, z, None).sum())(z)
    assert slope.shape == z.shape and np.any(slope)
    with pytest.raises(UserError, match="x has masked values"):
        inference.encode(model, np.ma.masked_less(images / 255, 0.5))
    for arguments, words in (
        ((3, jax.random.key(0)), "key is a int"),
        ((jax.random.key(0), 2.5), "count is 2"),
    ):
        with pytest.raises(UserError, match=words):
            inference.sample(model, *arguments)


def test_what_is_no_key_or_no_number_is_told(model, images):
    too_long = np.arange(3, dtype=np.uint32)
    for key in (0, np.arange(3), too_long, images, jax.random.split(jax.random.key(0))):
        for call in (
            lambda key: inference.sample(model, key, 2),
            lambda key: inference.encode(model, images, key=key),
            lambda key: inference.reconstruct(model, images, key=key),
            lambda key: inference.interpolate(model, images, images, key=key),
        ):
            with pytest.raises(UserError, match="pass a key of JAX's"):
                call(key)
    former = inference.encode(model, images, key=jax.random.PRNGKey(3))
    np.testing.assert_array_equal(former, inference.encode(model, images, key=jax.random.key(3)))
    for steps in (0, 2.5, "two", True):
        with pytest.raises(UserError, match=r"steps is .*; it must be a whole number in \[1, "):
            inference.interpolate(model, images, images, steps=steps)
    with pytest.raises(UserError, match="path is 'spherical'; pass"):
        inference.interpolate(model, images, images, path="spherical")
    with pytest.raises(UserError, match=r"codes of the shape \(\d+, 3\); .* must be \(\d+, 11, 3\)"):
        inference.interpolate(model, images, images, path=lambda z1, z2, along: z1)
    with pytest.raises(UserError, match=r"the shapes \(2, 3\), \(1, 3\) and \(2,\)"):
        inference.spherical(np.ones((2, 3)), np.ones((1, 3)), [0, 1])
    with pytest.raises(UserError, match="z1 holds values of type <U1"):
        inference.linear(np.full((2, 3), "1"), np.ones((2, 3)), [0, 1])


def test_features_of_a_model_in_bfloat16_are_float32(images):
    config = make_tiny_config()
    config.dtype = "bfloat16"
    features = inference.features(untrained(config, x=images), images)
    assert {name: x.dtype for name, x in features.items()} == dict.fromkeys(features, np.float32)


@pytest.mark.parametrize("variant", [(), ("code",)])  # of embeddings that learn, and of frozen ones
def test_attributes_of_another_width_are_refused(variant):
    model = untrained(
        make_conditional_config(1, 1, 3, variant=variant),
        x=np.zeros((1, 1, 1, 3), np.uint8),
        attributes=np.zeros((1, 40), np.uint8),
    )
    with pytest.raises(UserError, match=r"attributes has the shape \(2, 39\); this model takes \(N, 40\)"):
        inference.sample(model, jax.random.key(0), 2, np.zeros((2, 39)))


class Unhashable(list):
    def __call__(self, layers):
        return layers


def test_features_are_reduced_on_the_way(model, images, monkeypatch):
    monkeypatch.setattr(inference.chunks, "CHUNK", 2)
    whole = inference.features(model, images)
    summed = inference.features(model, images, reduce=lambda layers: layers["layer_1"].sum(axis=1))
    np.testing.assert_allclose(summed, whole["layer_1"].sum(axis=1), rtol=1e-5, atol=1e-6)
    with pytest.raises(
        UserError, match=r"an array of shape \(3,\) of 2 examples; it must keep a row for each"
    ):
        inference.features(model, images, reduce=lambda layers: {"mean": layers["mu"].mean(axis=0)})
    with pytest.raises(UserError, match="reduce is a str; pass a function"):
        inference.features(model, images, reduce="mu")
    with pytest.raises(UserError, match="reduce is a Unhashable; pass a function"):
        inference.features(model, images, reduce=Unhashable())


def test_a_loaded_model_knows_its_step(tiny_workdir):
    assert inference.load(tiny_workdir).step == 12
    assert inference.load(tiny_workdir, step=4).step == 4
    for step in ("4", 4.0):
        with pytest.raises(UserError, match=f"step is {step!r}; it must be a whole number"):
            inference.load(tiny_workdir, step=step)
    assert checkpoints.kept_steps(tiny_workdir) == [4, 8, 12]


def test_codes_are_float32_also_where_jax_computes_in_64_bits(model, images):
    with jax.enable_x64(True):
        for key in (None, jax.random.key(0)):
            assert inference.encode(model, images, key=key).dtype == np.float32


def test_both_paths_begin_and_end_at_the_codes():
    z1, z2 = np.float32([[1, 0], [3, 4], [1, 1]]), np.float32([[0, 1], [-3, 4], [1, 1]])
    along = np.float32([0, 0.5, 1])
    for path in (inference.linear, inference.spherical):
        z = path(z1, z2, along)
        assert z.shape == (3, 3, 2) and z.dtype == np.float32
        np.testing.assert_allclose(z[:, 0], z1, atol=1e-5)
        np.testing.assert_allclose(z[:, -1], z2, atol=1e-5)
    np.testing.assert_allclose(inference.linear(z1, z2, along)[:, 1], (z1 + z2) / 2)
    down = inference.linear(np.uint8([[3, 1]]), np.uint8([[1, 1]]), [0, 0.5, 1])
    np.testing.assert_array_equal(down[0], [[3, 1], [2, 1], [1, 1]])
    assert np.isfinite(inference.spherical(0 * z1, z2, along)).all()  # a code at the origin has no direction
    half = inference.spherical(z1, z2, along)[:, 1]
    np.testing.assert_allclose(half, [[0.5**0.5, 0.5**0.5], [0, 5], [1, 1]], atol=1e-5)


def test_what_is_no_fraction_of_a_path_and_no_state_is_refused(model):
    z = np.zeros((1, 2), np.float32)
    with pytest.raises(UserError, match="along holds values of type"):
        inference.linear(z, z, ["a", "b"])
    with pytest.raises(UserError, match="The state is a tuple; pass a TrainState"):
        inference.of_state(model.networks, (model.params, model.batch_stats))


def test_codes_of_an_arc_are_as_long_as_their_ends():
    z1, z2 = np.random.default_rng(0).normal(size=(2, 1000, 2)).astype(np.float32)
    z2[0], z2[1] = -2 * z1[0], -z1[1] + 1e-5
    z = inference.spherical(z1, z2, np.linspace(0, 1, 5))
    np.testing.assert_allclose([z[:, 0], z[:, -1]], [z1, z2], atol=1e-5)
    ends = np.linalg.norm([z1, z2], axis=2)
    # Of the length that is as far between theirs as the code is on its way.
    wanted = np.linspace(ends[0], ends[1], 5, axis=1)
    np.testing.assert_allclose(np.linalg.norm(z, axis=2), wanted, rtol=1e-4)
    alone = inference.spherical(np.float32([[1]]), np.float32([[-1]]), [0, 0.5, 1])  # there is no way round
    np.testing.assert_allclose(alone[0, :, 0], [1, 0, -1], atol=1e-6)
    to_the_origin = inference.spherical(z1, 0 * z2, [0, 0.5, 1])
    assert np.isfinite(to_the_origin).all() and not to_the_origin[:, 2].any()


def test_a_model_is_loaded_without_the_moments_of_its_optimizers(tmp_path, tiny_config, monkeypatch):
    """Of a run that keeps an average, that alone; the rest of the checkpoint is not read."""
    tiny_config.average_rate, tiny_config.num_steps = 0.5, 3
    state = train.train_and_evaluate(tiny_config, tmp_path)
    asked = []
    restore = Checkpoints.restore

    def spy(self, shapes, *arguments):
        asked.append({name for name, value in shapes._asdict().items() if value is not None})
        return restore(self, shapes, *arguments)

    monkeypatch.setattr(Checkpoints, "restore", spy)
    model = inference.load(tmp_path)
    assert asked == [{"average"}]
    for loaded, kept in zip(jax.tree.leaves(model.params), jax.tree.leaves(state.average[0]), strict=True):
        np.testing.assert_array_equal(loaded, kept)
