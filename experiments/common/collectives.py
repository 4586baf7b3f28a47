"""What a compiled program exchanges between devices, read from its text."""

import re

KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
    "collective-broadcast",
)
# "%name = SHAPE KIND(": of an asynchronous pair only the -done, whose shape is that of the result alone.
INSTRUCTION = re.compile(rf"^\s*(?:ROOT )?%?\S+ = (\(.*?\)|\S+) ({'|'.join(KINDS)})(?:-done)?\(", re.M)
ARRAY = re.compile(r"(pred|[a-z]+\d\w*)\[([\d,]*)\]")


def count(text: str) -> dict[str, dict[str, int]]:
    """Instructions and bytes of their results on each device, by kind.

    Args:
      text: an optimized HLO module, as of `compiled.as_text()`; a loop's body counts once.
    """
    found: dict[str, dict[str, int]] = {}
    for shape, kind in INSTRUCTION.findall(text):
        entry = found.setdefault(kind, {"count": 0, "bytes": 0})
        entry["count"] += 1
        entry["bytes"] += _size(shape)
    return found


def _size(shape: str) -> int:
    """Bytes of an array, or of a tuple of them, without padding."""
    total = 0
    for dtype, dimensions in ARRAY.findall(shape):
        elements = 1
        for length in filter(None, dimensions.split(",")):
            elements *= int(length)
        total += elements * _width(dtype)
    return total


def _width(dtype: str) -> int:
    return 1 if dtype == "pred" else int(re.search(r"\d+", dtype)[0]) // 8
