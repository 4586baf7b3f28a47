"""The game: one simultaneous update of generator, encoder and discriminator.

Everything here is a pure function of arrays. `train_step` is not jitted where it is defined, so that
whoever calls it can jit, scan, vmap or shard it:

    step = jax.jit(functools.partial(train_step, networks=networks, optimizers=optimizers))
    state, metrics = step(state, {"x": images})

Who is trained on what: D descends its own loss; G and E descend, together, the loss with the labels
swapped. No reconstruction term is optimised: E learns because D compares its pairs (x, E(x)) with the
generator's pairs (G(z), z).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from ali_jax import terms as losses_lib
from ali_jax.roles import Roles

Batch = Mapping[str, jax.Array]
Metrics = dict[str, jax.Array]


class TrainState(NamedTuple):
    """All that training carries from one step to the next."""

    step: jax.Array  # int32 scalar: updates done so far
    key: jax.Array  # never advanced: each step folds its own number into it
    params: Roles
    batch_stats: Roles  # running statistics of batch normalisation
    opt_state: Roles
    average: tuple[Roles, Roles] | None = None  # of params and batch_stats over steps, where kept


class Play(NamedTuple):
    """What one forward pass of the game gives."""

    logits_q: jax.Array  # (M, K) of the encoder's pairs (x, z_hat)
    logits_p: jax.Array  # (M, K) of the generator's pairs (x_tilde, z)
    batch_stats: Roles
    metrics: Metrics


def init_state(
    key: jax.Array, networks: Roles, optimizers: Roles, batch: Batch, keep_average: bool = False
) -> TrainState:
    """A fresh state.

    Args:
      key: seed of the parameters and of all noise to come.
      networks: modules, see `ali_jax.models`.
      optimizers: one optax transformation per role.
      batch: examples as `train_step` takes them. Their shapes shape the networks and their mean sets the
        generator's output bias, so that G starts at the mean image; the official code uses 500 of them.
      keep_average: whether `train_step` shall average parameters and running statistics over steps.
    """
    key_g, key_e, key_d, key_train = jax.random.split(key, 4)
    x, condition = unit_interval(batch["x"]), batch.get("attributes")
    one_x, one_c = x[:1], None if condition is None else condition[:1]
    one_z = jnp.zeros((1, networks.generator.latent_dim))

    generator = dict(networks.generator.init(key_g, one_z, one_c))
    generator["params"] = networks.generator.start_at_mean(generator["params"], x)
    encoder = {}
    if networks.encoder is not None:
        noise = jnp.zeros((1, networks.encoder.noise_dim))
        encoder = networks.encoder.init(key_e, one_x, noise, one_c)
    discriminator = networks.discriminator.init(key_d, one_x, one_z, one_c)

    variables = Roles(generator, encoder, discriminator)
    params = Roles(*(v.get("params", {}) for v in variables))
    batch_stats = Roles(*(v.get("batch_stats", {}) for v in variables))
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=key_train,
        params=params,
        batch_stats=batch_stats,
        opt_state=Roles(*(o.init(p) for o, p in zip(optimizers, params, strict=True))),
        # Copies: a state whose buffers are donated may hold none of them twice.
        average=jax.tree.map(jnp.copy, (params, batch_stats)) if keep_average else None,
    )


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    networks: Roles,
    optimizers: Roles,
    objective: Callable = losses_lib.joint_adversarial,
    average_rate: float = 1e-4,
    sharding: jax.sharding.NamedSharding | None = None,
) -> tuple[TrainState, Metrics]:
    """One simultaneous update of the three networks (Algorithm 1), same noise and dropout for all.

    Args:
      state: as from `init_state`.
      batch: "x" (M, ...), uint8 images or floats; "attributes" (M, A) where the networks are conditional;
        whatever else the objective asks for.
      networks: modules with `apply`.
      optimizers: one optax transformation per role; `optax.set_to_zero()` freezes a role.
      objective: (logits_q, logits_p, batch) -> (loss of D, loss of G and E, metrics); see `losses`.
      average_rate: weight of the newest parameters in `state.average`, where that is kept.
      sharding: how the batch axis is laid out over devices, where it is; sampled noise follows it.

    Returns:
      The next state, and scalar float32 metrics of the step.
    """

    def game(params: Roles):
        outcome = play(networks, params, state, batch, sharding)
        loss_d, loss_ge, metrics = objective(outcome.logits_q, outcome.logits_p, batch)
        return (loss_d, loss_ge), (outcome.batch_stats, metrics | outcome.metrics)

    # One forward pass, two pullbacks; each player keeps its own part and XLA drops the halves that nobody
    # keeps.
    (loss_d, loss_ge), pullback, (batch_stats, metrics) = jax.vjp(game, state.params, has_aux=True)
    one, zero = jnp.ones_like(loss_d), jnp.zeros_like(loss_d)
    (from_d,), (from_ge,) = pullback((one, zero)), pullback((zero, one))
    grads = Roles(from_ge.generator, from_ge.encoder, from_d.discriminator)

    params, opt_state = apply_updates(optimizers, grads, state)
    metrics = {"loss_discriminator": loss_d, "loss_generator_encoder": loss_ge} | metrics
    return advance(state, params, batch_stats, opt_state, average_rate), metrics


def advance(
    state: TrainState, params: Roles, batch_stats: Roles, opt_state: Roles, average_rate: float
) -> TrainState:
    """The state after a step that gave these, its average, where it keeps one, brought up to date.

    The average is exponential at `average_rate`; before 1 / average_rate steps it is the plain mean, which
    forgets the start.
    """
    average = state.average
    if average is not None:
        rate = jnp.maximum(average_rate, 1 / (state.step + 1))
        average = optax.incremental_update((params, batch_stats), average, rate)
    return TrainState(state.step + 1, state.key, params, batch_stats, opt_state, average)


def apply_updates(optimizers: Roles, grads: Roles, state: TrainState):
    """Each role's optimizer on its own gradient -> (params, opt_state)."""
    params, opt_states = [], []
    for optimizer, grad, opt_state, param in zip(
        optimizers, grads, state.opt_state, state.params, strict=True
    ):
        updates, opt_state = optimizer.update(grad, opt_state, param)
        params.append(optax.apply_updates(param, updates))
        opt_states.append(opt_state)
    return Roles(*params), Roles(*opt_states)


def play(
    networks: Roles,
    params: Roles,
    state: TrainState,
    batch: Batch,
    sharding: jax.sharding.NamedSharding | None = None,
) -> Play:
    """One forward pass: x -> z_hat, z -> x_tilde, and D's logits of both kinds of pairs."""
    x, condition = unit_interval(batch["x"]), batch.get("attributes")
    key_z, key_noise, key_dropout = jax.random.split(jax.random.fold_in(state.key, state.step), 3)

    def run(role: str, *inputs, **rngs):
        variables = {
            "params": getattr(params, role),
            "batch_stats": getattr(state.batch_stats, role),
        }
        module = getattr(networks, role)
        outputs, mutated = module.apply(variables, *inputs, train=True, mutable=["batch_stats"], rngs=rngs)
        return outputs, mutated.get("batch_stats", {})

    def shared(noise: jax.Array) -> jax.Array:
        # Without the constraint every device may draw, and push through the networks, the noise of all.
        return noise if sharding is None else jax.lax.with_sharding_constraint(noise, sharding)

    z = shared(networks.generator.sample_prior(key_z, len(x)))
    x_tilde, stats_g = run("generator", z, condition)
    z_hat, stats_e, metrics_e = z, {}, {}  # A plain GAN: no encoder, and a D that does not look at z.
    if networks.encoder is not None:
        noise = shared(jax.random.normal(key_noise, (len(x), networks.encoder.noise_dim)))
        encoding, stats_e = run("encoder", x, noise, condition)
        z_hat, metrics_e = encoding.z, summarize_encoding(encoding)

    pairs = [interleave(x.astype(x_tilde.dtype), x_tilde), interleave(z_hat, z)]
    twice = None if condition is None else interleave(condition, condition)
    logits, stats_d = run("discriminator", *pairs, twice, dropout=key_dropout)
    logits = logits.reshape(len(x), 2, -1)
    metrics = metrics_e | summarize("x_tilde", x_tilde)
    return Play(logits[:, 0], logits[:, 1], Roles(stats_g, stats_e, stats_d), metrics)


def interleave(real: jax.Array, generated: jax.Array) -> jax.Array:
    """(M, ...), (M, ...) -> (2M, ...), real and generated in turn.

    D judges both kinds as one batch (its BatchNorm statistics are of the mixture). Interleaved rather than
    concatenated: with the batch sharded over devices, no example changes device.
    """
    return jnp.stack([real, generated], axis=1).reshape(2 * len(real), *real.shape[1:])


def unit_interval(x: jax.Array) -> jax.Array:
    """uint8 images as float32 in [0, 1], on the device; floats as they are."""
    return x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x


def summarize_encoding(encoding) -> Metrics:
    """Statistics of mu and sigma, or of z_hat where the encoder has none."""
    if encoding.mu is None:
        return summarize("z_hat", encoding.z)
    statistics = summarize("mu", encoding.mu)
    return statistics if encoding.sigma is None else statistics | summarize("sigma", encoding.sigma)


def summarize(name: str, value: jax.Array) -> Metrics:
    """Mean, standard deviation, minimum and maximum over everything, as the official monitors."""
    value = jax.lax.stop_gradient(value).astype(jnp.float32)
    reductions = {"mean": jnp.mean, "std": jnp.std, "min": jnp.min, "max": jnp.max}
    return {f"{name}_{how}": reduce(value) for how, reduce in reductions.items()}
