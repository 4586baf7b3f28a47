"""Convolutions on a CPU: the compiler's options that hand them to oneDNN, and the forms that it takes.

    step = jax.jit(functools.partial(train_step, ...), compiler_options=compiler_options("float32", params))

oneDNN multiplies bfloat16 with the CPU's own instructions (AVX-512 or AMX); what XLA runs convolutions with
otherwise converts to float32 first. In float32 it runs those with a border, which are adjoints, without
multiplying the border's zeros. It takes plain convolutions alone, without zeros between the pixels of the
input, so `convolution` writes its own as here where oneDNN serves. (The options hand it some small matrix
products and softmax, too.) Images are NHWC, kernels HWIO.

Times in comments: 100 images of the SVHN networks, bfloat16, one core with AMX.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

OPTIONS = {"xla_cpu_use_onednn": True, "xla_cpu_experimental_onednn_custom_call": True}
MARK = "__onednn$convolution"  # what a compiled program calls a convolution that oneDNN runs
LARGE = 2**14  # numbers in a kernel of convolutions that oneDNN is worth asking for in float32
STORED_FROM = "jax_persistent_cache_min_compile_time_secs"  # what takes as long to compile, JAX stores


def compiler_options(dtype: str, params: Any, platform: str | None = None) -> dict[str, bool]:
    """What a `jax.jit` of steps takes as `compiler_options`, for networks that compute in `dtype`.

    Empty but for a CPU whose instructions and whose jaxlib run it (0.12 does, 0.10 does not), and for small
    networks in float32. `jax.jit` takes options at the outermost call alone. Where JAX has a cache of
    programs, compile with them in `not_stored`, or by `jit`.

    Args:
      dtype: "float32" or "bfloat16", as of `models.build`.
      params: of the networks, such as `state.params`, or their shapes.
      platform: that the steps are compiled for, such as "cpu"; None: JAX's default.
    """
    on_cpu = (platform or jax.default_backend()) == "cpu"
    pays = jnp.dtype(dtype) == jnp.bfloat16 or any(map(is_large, jax.tree.leaves(params)))
    return dict(OPTIONS) if on_cpu and pays and serves(dtype) else {}


def jit(function: Callable, options: dict[str, bool], **how: Any) -> Callable:
    """jax.jit(function, **how) with `compiler_options`; what they let oneDNN run is `not_stored`."""
    jitted = jax.jit(function, compiler_options=options or None, **how)
    return NotStored(jitted) if options else jitted


class NotStored:
    """A jitted function whose calls are made in `not_stored`."""

    def __init__(self, jitted: Callable):
        self.trace, self.lower, self._jitted = jitted.trace, jitted.lower, jitted

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with not_stored():
            return self._jitted(*args, **kwargs)


@contextlib.contextmanager
def not_stored() -> Iterator[None]:
    """What is compiled within, JAX does not put into its cache of programs; every start compiles it.

    It cannot (jaxlib 0.12): of what oneDNN compiled it takes any number in memory for a length, and asks for
    as many bytes, of which it warns in the best case. Where glibc has not as many, it also gives the thread
    another heap, in which what a step frees is not kept (see `run.memory`).
    """
    before = getattr(jax.config, STORED_FROM)
    jax.config.update(STORED_FROM, math.inf)
    try:
        yield
    finally:
        jax.config.update(STORED_FROM, before)


def is_large(kernel: jax.typing.ArrayLike | jax.ShapeDtypeStruct) -> bool:
    """Whether these are parameters (K, K, I, O) whose convolutions in float32 gain by oneDNN.

    What smaller ones would save, milliseconds, is not worth that their programs cannot be stored.
    """
    return len(kernel.shape) == 4 and kernel.shape[0] > 1 and math.prod(kernel.shape) >= LARGE


def serves(dtype: jax.typing.DTypeLike) -> bool:
    """Whether oneDNN runs convolutions of this dtype in programs compiled with `compiler_options`."""
    asked = jnp.dtype(dtype)
    return asked in (jnp.bfloat16, jnp.float32) and jax.default_backend() == "cpu" and runs(asked)


@functools.cache
def runs(dtype: np.dtype) -> bool:
    """Asks the compiler once in a process, in a tenth of a second.

    Whether it knows the options, and what it makes of them, depends on the version of jaxlib, on how that was
    built and on the CPU: no list of names would stay right.
    """
    shapes = (jax.ShapeDtypeStruct(shape, dtype) for shape in ((1, 8, 8, 32), (3, 3, 32, 32)))
    adjoint = functools.partial(convolve, layout=("NHWC", "HWIO", "NHWC"), padding=((2, 2), (2, 2)))
    program = jax.jit(adjoint).lower(*shapes)
    with not_stored():
        try:
            return MARK in program.compile(compiler_options=OPTIONS).as_text()
        except jax.errors.JaxRuntimeError:  # "No such compile option"
            return False


def convolve(x, kernel, *, layout, strides=(1, 1), padding=((0, 0),) * 2, dilation=(1, 1)):
    """`lax.conv_general_dilated` with a kernel that lies in memory as it is written.

    Without the barrier XLA folds what made the kernel, such as a reversal or a transpose, into the
    convolution, which oneDNN then runs without AMX. Adjoint of 13x13x64 -> 10x10x128: 58 ms, with it 3 ms.
    """
    kernel = lax.optimization_barrier(kernel)
    return lax.conv_general_dilated(x, kernel, strides, padding, (1, 1), dilation, layout)


def kernel_gradient(x: jax.Array, dy: jax.Array, stride: int) -> jax.Array:
    """Gradient (K, K, I, O) of the kernel of `convolution.conv` at input x for the output's cotangent dy.

    The examples are summed over, as channels are. The channels of x become a third axis of pixels: oneDNN
    multiplies blocks along the last of these axes, and K columns are too few for a block.
    13x13x64 -> 10x10x128: 7 ms, over two axes 17 ms, Eigen in float32 44 ms.
    """
    out = lax.conv_general_dilated(
        x.transpose(1, 2, 3, 0)[None],  # (1, H, W, I, N)
        dy.transpose(1, 2, 0, 3)[:, :, None],  # (H', W', 1, N, O)
        (1, 1, 1),
        "VALID",
        rhs_dilation=(stride, stride, 1),
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
    )
    return out[0]
