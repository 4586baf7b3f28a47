"""The baseline of the semi-supervised game: its discriminator as a classifier of labelled images, alone."""

import jax
import jax.numpy as jnp
import optax

from ali_jax.roles import Roles
from ali_jax.train_step import Batch, Metrics, TrainState, advance, unit_interval


def supervised_step(
    state: TrainState,
    batch: Batch,
    *,
    networks: Roles,
    optimizers: Roles,
    average_rate: float = 1e-4,
    sharding: jax.sharding.NamedSharding | None = None,
) -> tuple[TrainState, Metrics]:
    """One update of D by the cross-entropy of its logits; G and E stay as they are.

    In the place of `train_step`, with the same arguments and the same state, so that whatever trains the game
    trains its baseline.

    Args:
      state: as from `init_state`; its D does not look at z.
      batch: "x" (M, ...) and "label" (M,) int32, all of them known.
      networks: modules with `apply`.
      optimizers: D's is used.
      average_rate: as for `train_step`.
      sharding: not needed, as no z is drawn.
    """
    del sharding
    x = unit_interval(batch["x"])
    key = jax.random.fold_in(state.key, state.step)

    def loss(params):
        variables = {"params": params, "batch_stats": state.batch_stats.discriminator}
        logits, mutated = networks.discriminator.apply(
            variables, x, None, train=True, mutable=["batch_stats"], rngs={"dropout": key}
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        accuracy = jnp.mean((jnp.argmax(logits, axis=-1) == batch["label"]).astype(jnp.float32))
        return jnp.mean(losses), (mutated.get("batch_stats", {}), accuracy)

    (value, (stats, accuracy)), grad = jax.value_and_grad(loss, has_aux=True)(state.params.discriminator)
    updates, opt_state = optimizers.discriminator.update(
        grad, state.opt_state.discriminator, state.params.discriminator
    )
    params = state.params._replace(discriminator=optax.apply_updates(state.params.discriminator, updates))
    batch_stats = state.batch_stats._replace(discriminator=stats)
    opt_state = state.opt_state._replace(discriminator=opt_state)
    return advance(state, params, batch_stats, opt_state, average_rate), {
        "loss_discriminator": value,
        "accuracy_on_labels": accuracy,
    }
