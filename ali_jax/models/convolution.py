"""Unpadded 2-D convolutions and their adjoints, written so that every backend runs them fast.

Pure functions of arrays: images NHWC, kernels HWIO. Convolution and transposed convolution are each
other's input gradients, so both need the same three maps: convolution, its adjoint and its kernel
gradient. Where XLA lowers one of them badly on the CPU, it is written differently there, for Eigen or,
where XLA has it, for oneDNN; accelerators get the plain `lax` form, for which their libraries have kernels.

Gradients are in reverse mode, of any order; forward mode (`jax.jvp`) is refused by `jax.custom_vjp`.

Times in comments: 200 images of the SVHN networks, float32, 2 cores with AVX-512.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from ali_jax.models import onednn

FEW_CHANNELS = 4  # up to as many, as of pictures, convolutions wait for their input


def conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Convolution: x (N, H, W, I), kernel (K, K, I, O) -> (N, (H - K) / stride + 1, ..., O).

    Raises:
      ValueError: if the shapes do not fit or the stride does not divide H - K or W - K.
    """
    _check_shapes("conv", x, kernel, stride, channels_axis=2)
    for size in x.shape[1:3]:
        if size < len(kernel) or (size - len(kernel)) % stride:
            raise ValueError(
                f"conv: a kernel of size {len(kernel)} with stride {stride} does not cover an "
                f"input of size {size} exactly."
            )
    return _conv(x, kernel, stride)


def conv_transpose(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Adjoint of `conv`: x (N, H, W, I), kernel (K, K, O, I) -> (N, (H - 1) * stride + K, ..., O).

    The kernel is that of the convolution whose adjoint this is, as for `lax.conv_transpose` with
    `transpose_kernel=True`.

    Raises:
      ValueError: if the shapes do not fit.
    """
    _check_shapes("conv_transpose", x, kernel, stride, channels_axis=3)
    return _conv_transpose(x, kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x, kernel, stride):
    # One tap or one output pixel is a matrix product: as a convolution, the input gradient of
    # 4x4x256 -> 1x1x512 takes 38 ms, as a product 4 ms.
    if len(kernel) == stride == 1:
        return jnp.tensordot(x, kernel[0, 0], axes=1)
    if x.shape[1:3] == kernel.shape[:2]:
        return jnp.tensordot(x, kernel, axes=3)[:, None, None]
    arguments = {"strides": (stride, stride), "layout": ("NHWC", "HWIO", "NHWC")}
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_convolve_on_cpu, **arguments),
        default=functools.partial(_convolve, **arguments),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv_transpose(x, kernel, stride):
    if len(kernel) == stride == 1:
        return jnp.tensordot(x, kernel[0, 0], axes=(3, 1))
    if x.shape[1:3] == (1, 1):
        return jnp.tensordot(x[:, 0, 0], kernel, axes=(1, 3))
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_adjoint_in_blocks, stride=stride),
        default=functools.partial(_adjoint, stride=stride),
    )


def _kernel_gradient(x, dy, stride):
    """Gradient (K, K, I, O) of the kernel of `conv` at input x for the output's cotangent dy."""
    layout = ("CHWN", "IHWO", "HWNC")

    def product_or(convolve, x, dy):
        if x.shape[:3] == dy.shape[:3] and stride == 1:
            return jnp.tensordot(x, dy, axes=((0, 1, 2), (0, 1, 2)))[None, None]
        if dy.shape[1:3] == (1, 1):
            # In this order: its transpose would be transposed back in each of Adam's three loops.
            return jnp.tensordot(x, dy[:, 0, 0], axes=(0, 0))
        return convolve(x, dy, layout=layout, dilation=(stride, stride))

    # The CPU transposes both operands for this. Without the barrier it computes them a second time
    # while transposing, normalisation and all, in the order of the transposed array: 230 ms of a
    # step instead of 70. (jax 0.10 drops the barrier too early for it to help.)
    def materialized(x, dy):
        return product_or(convolve_on_cpu, *lax.optimization_barrier((x, dy)))

    def convolve_on_cpu(x, dy, **arguments):
        if not _bfloat16_by_onednn(x):
            return _convolve_with_eigen(x, dy, **arguments)
        if x.shape[3] > FEW_CHANNELS:
            return onednn.kernel_gradient(x, dy, stride)
        return onednn.convolve(x, dy, **arguments)

    default = functools.partial(product_or, _convolve)
    return lax.platform_dependent(x, dy, cpu=materialized, default=default)


def _conv_backward(stride, residuals, dy):
    x, kernel = residuals
    return _conv_transpose(dy, kernel, stride), _kernel_gradient(x, dy, stride)


def _conv_transpose_backward(stride, residuals, dy):
    # The kernel gradient of the convolution that this is the adjoint of. Automatic differentiation
    # writes a convolution with a dilated input instead, which takes 20 times as long on the CPU.
    x, kernel = residuals
    return _conv(dy, kernel, stride), _kernel_gradient(dy, x, stride)


_conv.defvjp(lambda x, kernel, stride: (_conv(x, kernel, stride), (x, kernel)), _conv_backward)
_conv_transpose.defvjp(
    lambda x, kernel, stride: (_conv_transpose(x, kernel, stride), (x, kernel)),
    _conv_transpose_backward,
)


def _convolve(x, kernel, *, layout, strides=(1, 1), padding=((0, 0),) * 2, dilation=(1, 1), zeros=(1, 1)):
    """`lax.conv_general_dilated`; `dilation` is the kernel's, `zeros` the input's."""
    return lax.conv_general_dilated(x, kernel, strides, padding, zeros, dilation, layout)


def _convolve_on_cpu(x, kernel, **arguments):
    """`_convolve` in the form that is fastest on the CPU, without zeros in the input.

    An XLA that has oneDNN leaves plain convolutions in float32 without a border to YNNPACK, which has become
    as fast as Eigen or faster: 32x32x3 -> 28x28x32 takes 19 ms with Eigen, 6 ms so. Those with a border are
    oneDNN's, which does not multiply its zeros: adjoint of 13x13x64 -> 10x10x128 53 ms, 29 ms so.
    """
    return (onednn.convolve if onednn.serves(x.dtype) else _convolve_with_eigen)(x, kernel, **arguments)


def _bfloat16_by_onednn(x) -> bool:
    return x.dtype == jnp.bfloat16 and onednn.serves(x.dtype)


def _convolve_with_eigen(x, kernel, *, layout, strides=(1, 1), padding=((0, 0),) * 2, dilation=(1, 1)):
    """`_convolve` on the CPU, through Eigen: the same numbers.

    XLA hands plain convolutions to YNNPACK and those of a dilated input to Eigen, which does not
    multiply the zeros: so the input's rows are dilated, and the strides with them. Kernel gradient
    of 13x13x64 -> 10x10x128: YNNPACK 82 ms (jax 0.10) or 23 ms (jax 0.12), Eigen 17 ms; forward,
    28x28x32 -> 13x13x64: 47 or 8 ms, Eigen 9 ms.
    """
    return _convolve(
        x,
        kernel,
        layout=layout,
        strides=(2 * strides[0], strides[1]),
        padding=((2 * padding[0][0], 2 * padding[0][1]), padding[1]),
        dilation=(2 * dilation[0], dilation[1]),
        zeros=(2, 1),
    )


def _adjoint(x, kernel, stride):
    """The adjoint as `lax` has it: a convolution of x with zeros between and around its pixels."""
    border = (len(kernel) - 1,) * 2
    return _convolve(
        x,
        kernel[::-1, ::-1],
        layout=("NHWC", "HWOI", "NHWC"),
        padding=(border, border),
        zeros=(stride, stride),
    )


def _adjoint_in_blocks(x, kernel, stride):
    """The adjoint, with the pixels of each square of the output as channels of one convolution.

    Squares of stride x stride pixels multiply no zeros between pixels: 28x28x32 <- 13x13x64 takes
    8 ms, dilated 56 ms. Few channels leave the convolution waiting for its input, so that larger
    squares pay although their kernels contain zeros: 32x32x3 <- 28x28x32 takes 14 ms in squares of
    4x4, dilated 27 ms. (oneDNN needs no such squares.)
    """
    size, channels = len(kernel), kernel.shape[2]
    wide = channels <= FEW_CHANNELS and stride == 1 and not _bfloat16_by_onednn(x)
    side = 4 if wide else stride
    taps = _taps_of_block(_taps_of_block(kernel, 0, stride, side), 1, stride, side)
    taps = taps.transpose(0, 1, 3, 4, 5, 2)  # (T, T, I, side, side, O)
    reach, step = (size - 1) // stride, side // stride
    heights = [(n - 1) * stride + size for n in x.shape[1:3]]
    counts = [-(-height // side) for height in heights]
    worth_it = _bfloat16_by_onednn(x) or (channels > FEW_CHANNELS and onednn.is_large(kernel))
    blocks = (_convolve_on_cpu if worth_it else _convolve_with_eigen)(
        x,
        taps.reshape(*taps.shape[:3], -1),
        layout=("NHWC", "HWIO", "NHWC"),
        strides=(step, step),
        padding=[
            (reach, (count - 1) * step + len(taps) - reach - n)
            for count, n in zip(counts, x.shape[1:3], strict=True)
        ],
    )
    blocks = blocks.reshape(len(x), *counts, side, side, channels).swapaxes(2, 3)
    pixels = blocks.reshape(len(x), counts[0] * side, counts[1] * side, channels)
    return pixels[:, : heights[0], : heights[1]]


def _taps_of_block(kernel, axis, stride, block):
    """The taps between pixels of the input and each of `block` pixels of the adjoint's output.

    (..., K, ...) -> (..., T, ..., block): tap t of pixel p is kernel[p - (t - reach) * stride], or
    0 outside the kernel; the block depends on `reach` pixels of the input before its first.
    """
    size = kernel.shape[axis]
    reach, ahead = (size - 1) // stride, (block - 1) // stride
    rows = []
    for pixel in range(block):
        first = min(pixel % stride, size)  # a stride beyond the kernel leaves pixels that no tap reaches
        row = lax.rev(lax.slice_in_dim(kernel, first, size, stride, axis), (axis,))
        after = ahead - pixel // stride
        before = reach + ahead + 1 - row.shape[axis] - after
        padding = [(0, 0)] * kernel.ndim
        padding[axis] = (before, after)
        rows.append(jnp.pad(row, padding))
    return jnp.stack(rows, axis=-1)


def _check_shapes(name, x, kernel, stride, channels_axis):
    if x.ndim != 4 or kernel.ndim != 4 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(
            f"{name} takes images (N, H, W, C) and a square kernel (K, K, ., .); "
            f"it got shapes {x.shape} and {kernel.shape}."
        )
    if x.shape[3] != kernel.shape[channels_axis]:
        raise ValueError(
            f"{name}: an input of {x.shape[3]} channels does not fit a kernel of shape "
            f"{kernel.shape}, whose axis {channels_axis} holds the input's channels."
        )
    if not isinstance(stride, int) or stride < 1:
        raise ValueError(f"{name}: the stride is {stride!r}; it must be an integer of at least 1.")
