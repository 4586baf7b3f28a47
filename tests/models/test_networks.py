"""Every network of the paper: parameter counts and the size of every layer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config

from ali_jax import build, models
from ali_jax.errors import UserError
from ali_jax.models.rows import dense, noise


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


# (config, variant): trainable parameters of E and G, of D's three stacks; running statistics of E, G and D.
TOTALS = {
    ("svhn",): (3_315_488, 1_767_584, 2_789_632, 393_216, 2_100_225, 3008, 1088, 1920),
    ("cifar10",): (3_118_496, 981_152, 1_396_032, 163_840, 1_051_137, 3008, 1088, 0),
    ("cifar10", "code"): (3_118_496, 981_152, 1_396_032, 163_840, 1_051_137, 3008, 1088, 0),
    ("cifar10", "paper"): (3_118_496, 981_152, 5_577_344, 589_824, 4_199_425, 3008, 1088, 0),
    ("celeba",): (6_794_880, 11_811_392, 6_532_160, 1_310_720, 7_346_177, 2432, 2432, 2304),
    # A bias of 64 gives way to a scale and a shift of 64 each.
    ("celeba", "paper"): (6_794_880, 11_811_392, 6_532_224, 1_310_720, 7_346_177, 2432, 2432, 2432),
    # The frozen embedding, 10,240 numbers, stands beside the statistics of each network.
    ("celeba_conditional", "code"): (
        *(6_925_952, 13_908_544, 6_532_160, 1_310_720, 7_870_465, 12_672, 12_672, 12_544),
    ),
    # A learned embedding of 40 attributes in 256 dimensions, 10,496 parameters, in each network.
    ("celeba_conditional",): (*(6_936_448, 13_919_040, 6_532_160, 1_310_720, 7_880_961, 2432, 2432, 2304),),
    ("tiny_imagenet",): (*(7_812_352, 3_164_224, 2_036_416, 4_722_688, 26_226_689, 9984, 6016, 1664),),
    ("mixture", "ali"): (164_002, 484_802, 0, 0, 407_201, 1600, 3200, 0),
    ("mixture", "gan"): (0, 484_802, 0, 0, 405_201, 0, 3200, 0),
}


@pytest.mark.parametrize("name", TOTALS)
def test_parameter_counts_equal_the_paper(name):
    state = build.game(load_config(*name)).shapes
    params, stats = state.params, state.batch_stats
    stacks = [params.discriminator.get(f"{s}_stack", {}) for s in ("x", "z", "joint")]
    counts = [count(part) for part in (params.encoder, params.generator, *stacks)]
    counts += [count(part) for part in (stats.encoder, stats.generator, stats.discriminator)]
    assert tuple(counts) == TOTALS[name]


# Height (= width) and channels out of each layer, as in the tables, before a maxout.
SVHN_E = [(28, 32), (13, 64), (10, 128), (4, 256), (1, 512), (1, 512), (1, 512)]
SVHN_G = [(4, 256), (10, 128), (13, 64), (28, 32), (32, 32), (32, 32), (32, 3)]
CELEBA_E = [(63, 64), (29, 128), (13, 256), (4, 256), (1, 512), (1, 512)]
CELEBA_G = [(4, 512), (13, 256), (29, 256), (63, 128), (64, 64), (64, 3)]
CELEBA_D = [CELEBA_E[:5], [(1, 1024)] * 2, [(1, 2048), (1, 2048), (1, 1)]]
SIZES = {
    "svhn": (SVHN_E, SVHN_G, SVHN_E[:5], [(1, 512)] * 2, [(1, 1024), (1, 1024), (1, 1)]),
    "cifar10": (
        [*SVHN_E[:6], (1, 128)],
        SVHN_G,
        SVHN_E[:5],
        [(1, 512)] * 2,
        [(1, 1024), (1, 1024), (1, 1)],
    ),
    "celeba": (CELEBA_E, CELEBA_G, *CELEBA_D),
    "celeba_conditional": (
        [*CELEBA_E[:5], (1, 768), (1, 512)],
        [(1, 512), *CELEBA_G],
        *CELEBA_D[:2],
        [(1, 1792), *CELEBA_D[2]],
    ),
    "tiny_imagenet": (
        [(31, 64), (28, 64), (13, 128), (10, 128), (4, 256), (1, 256), *[(1, 2048)] * 2, (1, 512)],
        [
            *[(1, 2048), (1, 256), (4, 256), (10, 128), (13, 128), (28, 64), (31, 64)],
            *[(64, 64), (64, 3)],
        ],
        [(31, 64), (28, 64), (13, 128), (10, 128), (4, 256), (1, 256)],
        [(1, 2048)] * 2,
        [(1, 4096), (1, 4096), (1, 1)],
    ),
}


def sizes(intermediates: dict) -> list[tuple[int, int]]:
    shapes = [intermediates[f"layer_{i + 1}"]["output"][0].shape for i in range(len(intermediates))]
    shapes = [shape if len(shape) == 4 else (1, 1, *shape) for shape in shapes]
    assert all(height == width for _, height, width, _ in shapes)
    return [(shape[1], shape[3]) for shape in shapes]


@pytest.mark.parametrize("name", SIZES)
def test_layer_sizes_equal_the_paper(name):
    config = load_config(name)
    game = build.game(config)
    networks, state, batch = game.networks, game.shapes, game.example
    latent = jax.ShapeDtypeStruct((1, config.model.latent_dim), jnp.float32)
    condition = batch.get("attributes")
    inputs = {
        "encoder": (batch["x"], latent, condition),
        "generator": (latent, condition),
        "discriminator": (batch["x"], latent, condition),
    }

    def intermediates(role):
        variables = {
            "params": getattr(state.params, role),
            "batch_stats": getattr(state.batch_stats, role),
        }
        apply = functools.partial(getattr(networks, role).apply, mutable=["intermediates"])
        return jax.eval_shape(apply, variables, *inputs[role])[1]["intermediates"]

    d = intermediates("discriminator")
    stacks = [intermediates("encoder")["stack"], intermediates("generator")["stack"]]
    stacks += [d["x_stack"], d["z_stack"], d["joint_stack"]]
    assert [sizes(stack) for stack in stacks] == list(map(list, SIZES[name]))


@pytest.fixture
def model():
    config = load_config("mixture", "ali").model
    return config.unlock() or config


def test_gaussian_encoder_is_mu_plus_sigma_times_noise(model):
    model.posterior = "gaussian"
    model.encoder = (("dense", 1, 1, 4, False, 0.0, "linear", "tied"),)
    encoder = models.build(model).encoder
    x, noise = jnp.ones((3, 2)), jnp.arange(6.0).reshape(3, 2)
    variables = encoder.init(jax.random.key(0), x, noise)
    bias = jnp.array([1.0, 2.0, jnp.log(3.0), jnp.log(4.0)])
    layer = {"kernel": jnp.zeros((2, 4)), "bias": bias}
    encoding = encoder.apply({"params": {"stack": {"layer_1": layer}}}, x, noise)
    np.testing.assert_allclose(encoding.z, [[1, 6], [7, 14], [13, 22]], rtol=1e-6)
    np.testing.assert_allclose(encoding.sigma, [[3, 4]] * 3, rtol=1e-6)
    assert variables["params"]["stack"]["layer_1"]["kernel"].shape == (2, 4)


def test_one_override_makes_the_encoder_deterministic():
    config = load_config("svhn")
    config.model.posterior = "deterministic"
    encoder = models.build(config.model).encoder
    shapes = build.game(config).shapes
    head = shapes.params.encoder["stack"]["layer_7"]
    assert head["kernel"].shape == (1, 1, 512, 256) and encoder.noise_dim == 0


def test_one_override_gives_codes_of_another_size():
    config = load_config("svhn")
    config.model.latent_dim = 100
    game = build.game(config)
    assert game.shapes.params.encoder["stack"]["layer_7"]["kernel"].shape == (1, 1, 512, 200)
    assert game.shapes.params.generator["stack"]["layer_1"]["kernel"].shape[3] == 100


def test_implicit_encoder_depends_on_its_noise(model):
    encoder = models.build(model, init_std=0.5).encoder
    assert encoder.noise_dim == 2
    x = jnp.ones((3, 2))
    variables = encoder.init(jax.random.key(0), x, jnp.zeros((3, 2)))
    codes = [encoder.apply(variables, x, jnp.full((3, 2), value)).z for value in (0.0, 1.0)]
    assert not np.allclose(*codes)


def test_frozen_embedding_is_one_for_all_networks_and_never_trained():
    config = load_config("celeba_conditional", "code")
    params = build.game(config).shapes.params
    rows = {
        "encoder": (config.model.encoder, params.encoder["stack"]),
        "generator": (config.model.generator, params.generator["stack"]),
        "discriminator": (config.model.discriminator_joint, params.discriminator["joint_stack"]),
    }
    for role, (of_role, layers) in rows.items():
        [number] = [i for i, row in enumerate(of_role, 1) if row[0] == "embed_frozen"]
        assert f"layer_{number}" not in layers, role
    kept = build.game(config).shapes.batch_stats.generator["stack"]["layer_1"]["kernel"]
    assert kept.shape == (40, 256)  # with the model, whatever another JAX would draw
    row = models.Row(*config.model.generator[0])
    stack = models.Stack((row,), 0.01, 0.0, jnp.float32)
    y = jnp.eye(40)
    embedded = [
        stack.apply(stack.init(jax.random.key(seed), jnp.zeros((40, 1)), y), jnp.zeros((40, 1)), y)
        for seed in (0, 1)
    ]
    np.testing.assert_array_equal(*embedded)
    np.testing.assert_allclose(jnp.std(embedded[0][:, 1:]), 0.01, rtol=0.05)


def test_priors_have_their_moments():
    generator = models.build(load_config("mnist_bigan").model).generator
    uniform = generator.sample_prior(jax.random.key(0), 2000)
    assert uniform.shape == (2000, 50) and jnp.max(jnp.abs(uniform)) < 1
    np.testing.assert_allclose([jnp.mean(uniform), jnp.var(uniform)], [0, 1 / 3], atol=0.01)
    normal = generator.clone(prior="normal").sample_prior(jax.random.key(0), 2000)
    np.testing.assert_allclose([jnp.mean(normal), jnp.var(normal)], [0, 1], atol=0.02)


def test_mnist_bigan_hands_z_to_the_second_layer_of_D():
    """As BiGAN's code does: a weight for each hidden unit of D(x) and each code."""
    config = load_config("mnist_bigan")
    params = build.game(config).shapes.params
    assert params.discriminator["joint_stack"]["layer_1"]["kernel"].shape == (1024 + 50, 1024)
    assert params.encoder["stack"]["layer_3"]["kernel"].shape == (1024, 50)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("posterior", "laplace", "posterior"),
        ("prior", "cauchy", "prior"),
        ("encoder", None, "both or neither"),
        ("encoder", (), "config.model.encoder has no rows"),
        ("generator", (), "config.model.generator has no rows"),
        ("discriminator_joint", (), "config.model.discriminator_joint has no rows"),
        ("generator", (("dense", 1, 1, 2, False, 0.0),), "Row 1 of config.model.generator"),
        ("generator", (("pool", 1, 1, 2, False, 0.0, "relu"),), "'pool'"),
        ("generator", (("dense", 1, 1, 2, False, 0.0, "swish"),), "'swish'"),
        ("generator", (("dense", 1, 1, 2, True, 0.0, "relu", "tied"),), "bias"),
        ("generator", (("dense", 1, 0, 2, True, 0.0, "relu"),), "stride is 0"),
        ("discriminator_joint", (("dense", 1, 1, 2, False, 1.0, "relu"),), "dropout"),
        ("generator", (("dense", 1, 1, 2, True, 0.0, "relu", "none", -0.1),), "input_noise is -0.1"),
        ("posterior", "gaussian", "encoder has 1 rows of noise, and config.model.posterior is 'gaussian'"),
        ("posterior", "deterministic", "has 1 rows of noise"),
        ("encoder", (dense(2, nonlinearity="linear"),), "has 0 rows of noise, .* is 'noise'"),
        ("encoder", (noise(1), noise(1), dense(2)), "has 2 rows of noise"),
        ("discriminator_joint", (dense(1, nonlinearity="sigmoid"),), "joint ends in sigmoid; make it linear"),
        ("discriminator_x_head", (dense(1),), "discriminator_x_head ends in leaky_relu; make it linear"),
        ("discriminator_joint", (dense(3, nonlinearity="linear", bias="none"),), "3 features and no bias"),
    ],
)
def test_a_wrong_model_is_named(model, field, value, words):
    model[field] = value
    with pytest.raises(UserError, match=words):
        models.build(model)


def test_mu_and_log_sigma_of_a_gaussian_are_any_numbers():
    model = load_config("digits").model
    model.encoder = (*model.encoder[:-1], model.encoder[-1]._replace(nonlinearity="relu"))
    with pytest.raises(UserError, match="encoder ends in relu; make it linear"):
        models.build(model)


def test_a_model_without_a_field_is_named(model):
    del model["leak"]
    with pytest.raises(UserError, match=r"config\.model has no leak"):
        models.build(model)


def test_unknown_dtype_is_named(model):
    with pytest.raises(UserError, match="float16"):
        models.build(model, dtype="float16")
