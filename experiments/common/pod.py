"""A training step on a pod of TPU v5e chips, on paper: functions of numbers."""

import math
from typing import NamedTuple

# Published, per chip (cloud.google.com/tpu/docs/v5e); the links: 1,600 Gbit/s, 400 GB/s both ways together.
PEAK = 197e12  # FLOP/s, bfloat16 products
MEMORY = 819e9  # bytes/s
LINKS = 200e9  # bytes/s out of a chip, over its four links
# A pod is 16x16; larger slices do not exist.
SLICES = (1, 4, 8, 16, 32, 64, 128, 256)

# Assumed.
HOP = 1e-6  # seconds from a chip to its neighbour


class Work(NamedTuple):
    """What a step asks for, whatever the number of chips."""

    flops: float  # of one example
    reduced: float  # bytes in all its all-reduces
    reductions: int  # how many all-reduces, one after the other
    parameters: float  # bytes
    rate: float  # FLOP/s that its convolutions reach


class Seconds(NamedTuple):
    """Of a step, on each chip; nothing overlaps."""

    network: float  # forward and backward
    update: float  # Adam
    bytes: float  # communication: moving what is reduced
    hops: float  # communication: waiting for the farthest chip

    @property
    def communication(self) -> float:
        return self.bytes + self.hops

    @property
    def computation(self) -> float:
        return self.network + self.update

    @property
    def step(self) -> float:
        return self.communication + self.computation

    @property
    def share_of_communication(self) -> float:
        return self.communication / self.step


def seconds(work: Work, batch: int, chips: int) -> Seconds:
    """The least time of each part of a step of `batch` examples on `chips` chips in a square torus.

    Every chip reads parameters, gradients and both moments and writes all but the gradients: 7 times the
    parameters, however many chips there are. A ring sends 2 (n - 1) / n of what it reduces; the farthest
    chip of a torus of n is sqrt(n) hops away.
    """
    return Seconds(
        network=work.flops * batch / chips / work.rate,
        update=7 * work.parameters / MEMORY,
        bytes=2 * (chips - 1) / chips * work.reduced / LINKS,
        hops=work.reductions * math.sqrt(chips) * HOP if chips > 1 else 0.0,
    )


def largest_slice(work: Work, batch: int) -> int:
    """The most chips, an example each at least, on which communication takes no longer than computation."""

    def pays(chips):
        parts = seconds(work, batch, chips)
        return chips <= batch and parts.communication <= parts.computation

    return max(filter(pays, SLICES))
