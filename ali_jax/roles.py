"""The three players of the game, always together and always by name."""

from typing import Any, NamedTuple


class Roles(NamedTuple):
    """One value per role: modules, parameters, statistics, optimizers, optimizer states, gradients.

    A plain GAN has no encoder: its `encoder` is None, an empty pytree.
    """

    generator: Any  # G: z -> x
    encoder: Any  # E: x -> z
    discriminator: Any  # D: (x, z) -> logits


def variables(params: Roles, batch_stats: Roles, role: str) -> dict[str, Any]:
    """What the role's module takes as the first argument of `apply`."""
    return {"params": getattr(params, role), "batch_stats": getattr(batch_stats, role)}
