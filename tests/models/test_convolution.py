"""Convolutions against `lax` and automatic differentiation, on the shapes of the paper's tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ali_jax.models.convolution import conv, conv_transpose

# (input size, kernel, stride, input is the image) of every convolution in the tables; a transposed
# convolution of a table is the adjoint of one of these. Three channels stay three.
SHAPES = sorted(
    {
        # SVHN, CIFAR-10
        *((32, 5, 1, True), (28, 4, 2, False), (13, 4, 1, False), (10, 4, 2, False)),
        *((4, 4, 1, False), (1, 1, 1, False)),
        *((32, 5, 1, False), (32, 1, 1, False), (32, 1, 1, True)),
        *((64, 2, 1, True), (64, 2, 1, False), (63, 7, 2, False), (29, 5, 2, False)),  # CelebA
        *((13, 7, 2, False), (64, 1, 1, True)),
        *((64, 4, 2, True), (64, 4, 2, False), (31, 4, 1, False)),  # Tiny ImageNet
        *((7, 1, 3, False), (10, 2, 4, False)),  # of nobody: strides beyond the kernel
    }
)
NHWC = ("NHWC", "HWIO", "NHWC")


def reference(x, kernel, stride):
    return lax.conv_general_dilated(x, kernel, (stride,) * 2, "VALID", dimension_numbers=NHWC)


def reference_transpose(x, kernel, stride):
    y = lax.conv_transpose(x, kernel, (stride,) * 2, "VALID", transpose_kernel=True)
    # With a stride beyond the kernel it appends zeros, which no output of the convolution depends on.
    height, width = ((n - 1) * stride + len(kernel) for n in x.shape[1:3])
    return y[:, :height, :width]


def arrays(size, kernel, stride, image, dtype=np.float64):
    """Input, kernel and output-shaped cotangent of a convolution, at most 6 channels wide."""
    rng = np.random.default_rng(size + kernel)
    channels, features = (3 if image else 5), 6
    out = (size - kernel) // stride + 1
    x, k = (2, size, size, channels), (kernel, kernel, channels, features)
    return [rng.normal(size=shape).astype(dtype) for shape in (x, k, (2, out, out, features))]


PAIRS = ((conv, reference), (conv_transpose, reference_transpose))


def check_both(derive, size, kernel, stride, image):
    """derive(operation, its input, its kernel) of both convolutions against `lax`, to float64 precision."""
    with jax.enable_x64(True):
        x, k, y = arrays(size, kernel, stride, image)

        @jax.jit  # all at once: compiling takes longer than computing
        def of_all(x, k, y):
            return [[derive(f, a, k) for f in pair] for pair, a in zip(PAIRS, (x, y), strict=True)]

        for ours, theirs in of_all(x, k, y):
            for one, other in zip(ours, theirs, strict=True):
                assert one.shape == other.shape and one.dtype == other.dtype == np.float64
                assert np.abs(other).max() > 0.1
                np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size, kernel, stride, image", SHAPES)
def test_values_and_gradients(size, kernel, stride, image):
    """The value, and both gradients for a random cotangent."""

    def derive(operation, a, k):
        value, pullback = jax.vjp(lambda a, k: operation(a, k, stride), a, k)
        return value, *pullback(np.random.default_rng(1).normal(size=value.shape))

    check_both(derive, size, kernel, stride, image)


@pytest.mark.parametrize(
    "size, kernel, stride, image",
    [
        *((10, 4, 2, False), (7, 4, 3, False), (8, 5, 1, True)),
        *((4, 4, 1, False), (4, 4, 2, True), (6, 1, 1, False)),  # those that are matrix products
    ],
)
def test_second_derivatives(size, kernel, stride, image):
    """Both gradients of a function of both gradients: each with respect to the input and to the kernel."""

    def derive(operation, a, k):
        def first(a, k):
            return jax.grad(lambda a, k: jnp.sum(jnp.sin(operation(a, k, stride))), (0, 1))(a, k)

        return jax.grad(lambda a, k: sum(jnp.sum(jnp.cos(g)) for g in first(a, k)), (0, 1))(a, k)

    check_both(derive, size, kernel, stride, image)


@pytest.mark.parametrize("operation", [conv, conv_transpose])
@pytest.mark.parametrize("size, kernel, stride", [(10, 4, 2), (8, 5, 1), (4, 4, 1), (6, 1, 1)])
def test_vmap_over_kernels(operation, size, kernel, stride):
    with jax.enable_x64(True):
        x, k, y = arrays(size, kernel, stride, image=True)
        a = x if operation is conv else y
        kernels = jnp.stack([k, 2 * k, -k])

        def gradients(kernel):
            def loss(a, k):
                return jnp.sum(jnp.sin(operation(a, k, stride)))

            return jax.grad(loss, (0, 1))(a, kernel)

        together = jax.jit(jax.vmap(gradients))(kernels)
        one_by_one = [jax.jit(gradients)(kernel) for kernel in kernels]
        for axis in range(2):
            expected = np.stack([g[axis] for g in one_by_one])
            np.testing.assert_allclose(together[axis], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("operation", [conv, conv_transpose])
@pytest.mark.parametrize("size, kernel, stride", [(10, 4, 2), (8, 5, 1), (4, 4, 1), (6, 1, 1)])
def test_bfloat16_stays_bfloat16_and_accumulates_in_more(operation, size, kernel, stride):
    x, k, y = arrays(size, kernel, stride, image=True, dtype=np.float32)
    a = x if operation is conv else y
    # Equal terms: a running sum in bfloat16 would stop growing at 256 of them.
    a, k = jnp.ones((512, *a.shape[1:]), jnp.bfloat16), jnp.asarray(k, jnp.bfloat16)

    @jax.jit
    def derive(a, k):
        value, pullback = jax.vjp(lambda a, k: operation(a, k, stride), a, k)
        return value, pullback(jnp.ones_like(value))

    value, gradients = derive(a, k)
    assert {array.dtype for array in (value, *gradients)} == {jnp.dtype(jnp.bfloat16)}
    pixels = min(value.shape[1], a.shape[1]) ** 2
    np.testing.assert_allclose(gradients[1].astype(jnp.float32), 512 * pixels, rtol=0.01)


@pytest.mark.parametrize("platform, rewritten", [("cpu", True), ("cuda", False), ("tpu", False)])
def test_only_the_cpu_gets_rewritten_convolutions(platform, rewritten):
    def gradients(x, kernel):
        return jax.grad(lambda x, k: jnp.sum(jnp.sin(conv(x, k, 2))), (0, 1))(x, kernel)

    traced = jax.jit(gradients).trace(jnp.ones((2, 10, 10, 5)), jnp.ones((4, 4, 5, 6)))
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert program.count("stablehlo.convolution") == 3
    assert ("optimization_barrier" in program) == rewritten


@pytest.mark.parametrize(("operation", "reference"), PAIRS)
def test_the_pullback_of_a_pullback_is_a_jvp(operation, reference):
    """As the README says to take one, since forward mode is refused."""
    with jax.enable_x64(True):
        x, kernel, _ = arrays(10, 4, 2, False)
        x = x if operation is conv else x[:, :4, :4, :1].repeat(6, axis=3)
        tangent = np.random.default_rng(0).normal(size=x.shape)
        y, pull = jax.vjp(lambda x: jnp.tanh(operation(x, kernel, 2)), x)
        [ours] = jax.vjp(pull, y)[1]((tangent,))
        _, theirs = jax.jvp(lambda x: jnp.tanh(reference(x, kernel, 2)), (x,), (tangent,))
        assert np.abs(theirs).max() > 0.1
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
        with pytest.raises(TypeError, match="custom_vjp"):
            jax.jvp(lambda x: operation(x, kernel, 2), (x,), (tangent,))


def test_composes_with_scan_and_grad():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 2)).astype(np.float32)

    def loss(kernel, conv, conv_transpose):
        def body(x, _):
            return jnp.tanh(conv_transpose(conv(x, kernel, 1), kernel, 1)), None

        return jnp.sum(lax.scan(body, jnp.ones((2, 5, 5, 2)), length=3)[0])

    ours = jax.jit(jax.grad(lambda k: loss(k, conv, conv_transpose)))(kernel)
    theirs = jax.jit(jax.grad(lambda k: loss(k, reference, reference_transpose)))(kernel)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "operation, x, kernel, stride, message",
    [
        (conv, (1, 9, 9, 3), (4, 4, 3, 2), 2, "kernel of size 4 with stride 2 .* size 9 exactly"),
        (conv, (1, 3, 8, 3), (4, 4, 3, 2), 1, "kernel of size 4 with stride 1 .* size 3 exactly"),
        (conv, (1, 8, 8, 3), (4, 4, 2, 3), 1, "conv: an input of 3 channels .* axis 2"),
        (conv_transpose, (1, 8, 8, 3), (4, 4, 3, 2), 1, "conv_transpose: .* 3 channels .* axis 3"),
        (conv, (8, 8, 3), (4, 4, 3, 2), 1, "conv takes images"),
        (conv_transpose, (1, 8, 8, 3), (4, 2, 2, 3), 1, "conv_transpose takes .* square kernel"),
        (conv, (1, 8, 8, 3), (4, 4, 3, 2), 0, "stride is 0"),
        (conv_transpose, (1, 8, 8, 3), (4, 4, 2, 3), 1.0, "stride is 1.0"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(operation, x, kernel, stride, message):
    with pytest.raises(ValueError, match=message) as error:
        operation(jnp.zeros(x), jnp.zeros(kernel), stride)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)
