"""The forms of convolutions for oneDNN, and the options that ask for it."""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ali_jax import build, models
from ali_jax.data import Batches, load
from ali_jax.models import onednn
from ali_jax.models.convolution import conv, conv_transpose
from ali_jax.models.rows import conv as row
from ali_jax.models.rows import transposed
from configs import digits


@pytest.fixture
def everywhere(monkeypatch):
    """As if oneDNN ran here: its forms give the same numbers whatever runs them."""
    monkeypatch.setattr(onednn, "runs", lambda dtype: True)
    monkeypatch.setattr(onednn, "LARGE", 0)
    monkeypatch.setattr(onednn.jax, "default_backend", lambda: "cpu")  # also where these tests run on a GPU


@pytest.fixture
def asked_anew():
    onednn.runs.cache_clear()
    yield
    onednn.runs.cache_clear()


SMALL, WIDE, DENSE = (np.zeros(shape) for shape in ((4, 4, 8, 8), (4, 4, 32, 32), (1, 1, 512, 512)))


@pytest.mark.parametrize("dtype", models.DTYPES)
def test_a_cpu_alone_has_options(dtype, monkeypatch):
    monkeypatch.setattr(onednn, "runs", lambda dtype: True)
    monkeypatch.setattr(onednn.jax, "default_backend", lambda: "cpu")
    params = {"kernel": WIDE, "bias": np.zeros(32)}
    assert models.compiler_options(dtype, params) == onednn.OPTIONS
    assert models.compiler_options(dtype, params, "cuda") == models.compiler_options("float64", params) == {}
    monkeypatch.setattr(onednn.jax, "default_backend", lambda: "gpu")
    assert models.compiler_options(dtype, params) == {}


def test_small_kernels_have_options_in_bfloat16_alone(monkeypatch):
    monkeypatch.setattr(onednn, "runs", lambda dtype: True)
    monkeypatch.setattr(onednn.jax, "default_backend", lambda: "cpu")
    for params in ({"kernel": SMALL}, {"kernel": DENSE}):
        assert models.compiler_options("float32", params) == {}
        assert models.compiler_options("bfloat16", params, "cpu") == onednn.OPTIONS


def test_what_is_compiled_with_options_is_not_stored():
    stored_from, seen = getattr(jax.config, onednn.STORED_FROM), []

    for options in ({"xla_backend_optimization_level": 0}, {}):

        def traced(x):
            seen.append(getattr(jax.config, onednn.STORED_FROM))
            return x

        onednn.jit(traced, options)(1.0)
    assert seen == [math.inf, stored_from]
    assert getattr(jax.config, onednn.STORED_FROM) == stored_from


def test_an_option_that_this_jaxlib_does_not_know_is_left_out(asked_anew, monkeypatch, recwarn):
    monkeypatch.setattr(onednn, "OPTIONS", {"xla_cpu_an_option_of_another_year": True})
    assert models.compiler_options("bfloat16", {}) == {} and not recwarn.list


@pytest.mark.parametrize(
    "dtype, features, calls",
    [
        ("bfloat16", 16, 3),  # a value, where the CPU has instructions, and the gradients by x and the kernel
        ("float32", 32, 1),  # the gradient by x
        ("float32", 16, 0),  # its kernel is small
    ],
)
def test_what_the_options_promise_they_do(asked_anew, dtype, features, calls):
    shape, kernel = (jax.ShapeDtypeStruct(s, dtype) for s in ((4, 12, 12, 32), (4, 4, 32, features)))
    options = models.compiler_options(dtype, kernel)

    def loss(x, kernel):
        return jnp.sum(jnp.sin(conv(x, kernel, 2)).astype(jnp.float32))

    lowered = jax.jit(jax.grad(loss, (0, 1))).lower(shape, kernel)
    with onednn.not_stored():
        program = lowered.compile(compiler_options=options).as_text()
    if dtype == "bfloat16" and not has_bfloat16():
        calls -= 1
    assert program.count(f'custom_call_target="{onednn.MARK}"') == (calls if options else 0)


def has_bfloat16() -> bool:
    """Whether Linux knows of instructions for it in this CPU; elsewhere JAX asks no oneDNN."""
    told = Path("/proc/cpuinfo")
    return told.exists() and bool({"avx512_bf16", "amx_bf16"} & {*told.read_text().split()})


@pytest.mark.parametrize("dtype, resolved", [(jnp.bfloat16, 0.01), (jnp.float32, 1e-5)])
@pytest.mark.parametrize("stride, channels", [(1, 5), (2, 5), (1, 3), (2, 3)])
def test_forms_are_those_of_lax(everywhere, stride, channels, dtype, resolved):
    """Values and both gradients of both convolutions, as close as the dtype resolves."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 10, 10, channels)), rng.normal(size=(4, 4, channels, 6))
    out = (10 - 4) // stride + 1
    y = rng.normal(size=(2, out, out, 6))

    def of_lax(a, k):
        strides, layout = (stride,) * 2, ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(a, k, strides, "VALID", dimension_numbers=layout)

    def transposed_of_lax(a, k):
        return lax.conv_transpose(a, k, (stride,) * 2, "VALID", transpose_kernel=True)

    def derive(operation, a, k):
        value, pullback = jax.vjp(operation, a, k)
        return value, *pullback(value)

    ours = (functools.partial(f, stride=stride) for f in (conv, conv_transpose))
    for mine, theirs, a in zip(ours, (of_lax, transposed_of_lax), (x, y), strict=True):
        a, k = (jnp.asarray(value, dtype) for value in (a, kernel))
        found = jax.jit(functools.partial(derive, mine))(a, k)
        expected = jax.jit(functools.partial(derive, theirs))(a.astype(float), k.astype(float))
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == dtype and one.shape == other.shape
            off = np.abs(np.asarray(one, np.float32) - other).max()
            assert off < resolved * np.abs(other).max()


def test_convolutions_in_bfloat16_play_the_game_of_float32():
    """200 steps of convolutional networks, compiled as a user's are: the same course.

    Means over 200 steps were within 0.1 % (losses, D_real) and 0.3 % (x_tilde_std) of float32's.
    """
    config = digits.get_config("paper")
    config.model.encoder = (row(8, 4, stride=2, norm=True), row(8, 3, nonlinearity="linear"))
    config.model.generator = (transposed(8, 3, norm=True), transposed(1, 4, stride=2, nonlinearity="sigmoid"))
    config.model.discriminator_x = (row(8, 4, stride=2, dropout=0.2), row(8, 3, norm=True, dropout=0.2))
    config.model.discriminator_z = (row(8, 1, bias="none"),)
    config.model.discriminator_joint = (row(1, 1, nonlinearity="linear"),)
    config.model.latent_dim, config.model.init_std = 4, 0.1
    batches, courses = Batches(load("digits", "train"), 50, 0), {}
    for dtype in ("float32", "bfloat16"):
        config.dtype = dtype
        game = build.game(config)
        state = jax.jit(game.init)(jax.random.key(0), batch=batches[0])
        step, course = onednn.jit(game.step, models.compiler_options(dtype, state.params)), []
        for number in range(200):
            state, metrics = step(state, batches[number])
            course.append(metrics)
        courses[dtype] = jax.tree.map(lambda *values: np.mean(values), *course)
        floats = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        assert {leaf.dtype for leaf in floats} == {jnp.dtype("float32")}
    for name in ("loss_discriminator", "loss_generator_encoder", "D_real", "x_tilde_std"):
        np.testing.assert_allclose(courses["bfloat16"][name], courses["float32"][name], rtol=0.01)
    assert courses["float32"]["D_real"] != courses["bfloat16"]["D_real"]
