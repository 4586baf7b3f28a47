"""What a trained model takes: the one place where a user's images, codes and attributes become arrays.

Images are integers from 0 to 255 of whatever type, or floats from 0 to 1, as one array or as a list of arrays
or of PIL images. What is neither is refused: networks make something of any numbers.
"""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ali_jax.data.pictures import as_arrays
from ali_jax.errors import UserError
from ali_jax.models import Row, Stack
from ali_jax.pretrained import Model
from ali_jax.ranges import ROUNDING


def network(model: Model, role: str) -> nn.Module:
    """The module of a role.

    Raises:
      UserError: there is none, or `model` is something else.
    """
    if not isinstance(model, Model):
        raise UserError(
            f"The first argument is a {type(model).__name__} and no model; make one with "
            "inference.load('runs/svhn'), or of the state of a loop with inference.of_state(networks, state)."
        )
    module = getattr(model.networks, role)
    if module is None:  # of the three, E alone may be missing
        raise UserError("This model is a plain GAN: it has no encoder to encode images with.")
    return module


def examples(model: Model, x: Any, name: str = "x") -> np.ndarray:
    """(N, ...) images, uint8 or float32 in [0, 1], or float32 points; each as the model was trained on.

    Raises:
      UserError: they are of another shape, or no such numbers.
    """
    shape = tuple(of_rows(model, "x_shape"))
    array = numbers(without_pil(x, shape), name)
    if len(shape) == 3 and shape[2] == 1 and array.shape[1:] == shape[:2]:
        array = array[..., None]  # grey images that do not say so
    _require_shape(name, array, shape)
    if len(shape) == 3:
        return pixels(array, name)
    # Whatever their shape, in training too, uint8 are from 0 to 255.
    return array if array.dtype == np.uint8 else _floats(array, name)


def codes(model: Model, z: Any, name: str = "z") -> np.ndarray:
    """(N, n) float32 codes."""
    array = numbers(z, name)
    _require_shape(name, array, (of_rows(model, "latent_dim"),))
    return _floats(array, name)


def codes_to_judge(model: Model, z: Any, count: int) -> np.ndarray | None:
    """As many codes as examples; None for a D that looks at x alone."""
    looks = of_rows(model, "z_stack", "discriminator") is not None
    if looks != (z is not None):
        raise UserError(
            "This model's D judges pairs; pass the codes z with x."
            if looks
            else "This model's D looks at x alone; leave z out."
        )
    if z is None:
        return None
    array = codes(model, z)
    require_as_many("z", array, count)
    return array


def attributes(model: Model, given: Any, count: int) -> np.ndarray | None:
    """(N, A) of a conditional model, from 0 to 1; None of any other."""
    if not is_conditional(model):
        if given is not None:
            raise UserError("This model is not conditional; leave attributes out.")
        return None
    if given is None:
        raise UserError("This model is conditional; pass attributes, (N, A) of zeros and ones.")
    array = numbers(given, "attributes")
    _require_shape("attributes", array, (_num_attributes(model),))
    array = _floats(array, "attributes")
    if array.min() < 0 or array.max() > 1:
        found = f"from {array.min():g} to {array.max():g}"
        raise UserError(f"attributes holds numbers {found}; they must be zeros and ones.")
    require_as_many("attributes", array, count)
    return array


def is_conditional(model: Model) -> bool:
    """Whether its networks are given attributes."""
    return any(_embeddings(model))


def require_as_many(name: str, array: np.ndarray, count: int) -> None:
    """Raises UserError where there are not as many of `name` as of examples."""
    if len(array) != count:
        raise UserError(f"There are {count} examples and {len(array)} of {name}; pass as many of both.")


def of_rows(model: Model, field: str, role: str = "generator") -> Any:
    """The attribute `field` of a network; a UserError where that is a custom module without it."""
    module = network(model, role)
    if not hasattr(module, field):
        raise UserError(
            f"The {role} is a {type(module).__name__}, which does not say its {field}, and inference is of "
            "networks made of rows; call yours, as "
            "model.networks.encoder.apply(model.variables('encoder'), x, noise)."
        )
    return getattr(module, field)


def _rows(stack: Any) -> tuple:
    return stack.rows if isinstance(stack, Stack) else ()


def _embeddings(model: Model) -> Iterator[tuple[str, str, str, Row]]:
    """(role, stack, layer, row) of every row that embeds attributes."""
    for role, module in model.networks._asdict().items():
        for name, stack in ({} if module is None else vars(module)).items():
            for number, row in enumerate(_rows(stack), 1):
                if row.operation.startswith("embed"):
                    yield role, name, f"layer_{number}", row


def _num_attributes(model: Model) -> int | None:
    """A, by the kernel of an embedding; None where the network that has one was not exported."""
    for role, stack, layer, row in _embeddings(model):
        if getattr(model.params, role) is not None:
            kind = "batch_stats" if row.operation == "embed_frozen" else "params"
            return len(model.variables(role)[kind][stack][layer]["kernel"])
    return None


def without_pil(x: Any, shape: tuple[int, ...]) -> Any:
    """PIL images as arrays of the model's colours; anything else as it is."""
    if hasattr(x, "getbands"):
        raise UserError("x is a single image; pass a list of them, such as [image].")
    return as_arrays(x, shape[-1], "x") if isinstance(x, list | tuple) else x


def numbers(values: Any, name: str) -> np.ndarray:
    """Whole numbers or floats of one example or more, (N, ...); a UserError for anything else."""
    if isinstance(values, jax.core.Tracer):
        raise UserError(
            f"{name} is traced, by jax.jit, jax.grad or jax.vmap, and inference takes arrays; within these "
            "call the networks, as model.networks.generator.apply(model.variables('generator'), z, None)."
        )
    if np.ma.is_masked(values):
        raise UserError(f"{name} has masked values; fill them, or leave those examples out.")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # a list of arrays of several shapes
        raise UserError(f"{name} makes no array; its examples must be numbers of one shape.") from error
    if array.ndim == 0:
        raise UserError(f"{name} is no array of examples, but {type(values).__name__}; pass one of (N, ...).")
    if not len(array):
        raise UserError("There are no examples to run the model on.")
    whole = array.dtype == bool or jnp.issubdtype(array.dtype, np.integer)
    if not whole and not jnp.issubdtype(array.dtype, np.floating):
        raise UserError(f"{name} holds values of type {array.dtype}; it must hold whole numbers or floats.")
    return array


def _require_shape(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Each example must have this shape; None stands for any length."""
    fits = len(array.shape) == len(shape) + 1 and all(
        want in (None, have) for want, have in zip(shape, array.shape[1:], strict=True)
    )
    if not fits:
        wanted = ", ".join(["N", *("A" if want is None else str(want) for want in shape)])
        alone = f"; of a single one pass {name}[None]" if array.shape == shape else ""
        raise UserError(f"{name} has the shape {array.shape}; this model takes ({wanted}){alone}.")


def pixels(array: np.ndarray, name: str) -> np.ndarray:
    """Numbers of any type as those of images: uint8, or float32 in [0, 1]."""
    if array.dtype == bool:
        return array.astype(np.float32)
    whole = jnp.issubdtype(array.dtype, np.integer)
    array = array if whole else _floats(array, name)
    low, high, most = array.min(), array.max(), 255 if whole else 1
    slack = 0 if whole else ROUNDING
    if whole and high == 1:
        raise UserError(
            f"{name} holds whole numbers of no more than 1, black among 0 to 255; if 1 is white, pass "
            f"{name} as booleans or floats, and if it is black, {name} / 255."
        )
    if low < -slack or high > most + slack:
        raise UserError(
            f"{name} holds {'whole numbers' if whole else 'floats'} from {low:g} to {high:g}; images are "
            "whole numbers from 0 to 255 or floats from 0 to 1, so scale them to either."
        )
    return array.astype(np.uint8, copy=False) if whole else array  # memory-mapped ones stay so


def _floats(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array, np.float32)
    if not np.isfinite(array).all():
        raise UserError(f"{name} holds NaN or infinite numbers; leave those examples out.")
    return array
