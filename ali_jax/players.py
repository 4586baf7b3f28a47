"""The networks as players of a round: passes in training, with its parameters and its attributes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ali_jax.disturbance import Disturb
from ali_jax.errors import UserError
from ali_jax.interleaving import interleave, part, twice
from ali_jax.models import Encoding, Judgement, may_mix_pairs, packing_of
from ali_jax.roles import Roles, variables
from ali_jax.terms import Comparison, Players

Pairs = tuple[jax.Array, jax.Array | None]  # x and z
Statistics = dict[str, Any]  # running statistics of a role after a pass


class BoundNetworks(NamedTuple):
    """The networks with a round's parameters and all else that their passes depend on, to be run in training.

    With `frozen=True` a pass gives no gradient to the parameters.
    """

    networks: Roles
    params: Roles
    batch_stats: Roles  # running statistics before the round
    step: jax.Array | int = 0
    condition: jax.Array | None = None  # attributes of the examples that are passed, (M, A)
    disturb: Disturb | None = None  # what is done to all pairs before D sees them
    sharding: jax.sharding.NamedSharding | None = None  # how the batch axis of sampled noise is laid out
    average: Roles | None = None  # of the parameters over steps, where the state keeps one

    def players(self) -> Players:
        """The passes that terms may ask for, their running statistics left out."""
        kept = (_without_statistics(player) for player in (self.generate, self.encode, self.judge))
        return Players(*kept, self.compare)

    def generate(self, z: jax.Array, frozen: bool = False) -> tuple[jax.Array, Statistics]:
        """G(z): (M, n) -> (M, H, W, C)."""
        return self._run("generator", z, self.condition, frozen=frozen)

    def encode(self, x: jax.Array, key: jax.Array, frozen: bool = False) -> tuple[Encoding, Statistics]:
        """q(z|x), and the draw from it that `key` gives."""
        noise = self.sharded(jax.random.normal(key, (len(x), self.networks.encoder.noise_dim)))
        return self._run("encoder", x, noise, self.condition, frozen=frozen)

    def judge(
        self,
        x: jax.Array,
        z: jax.Array | None,
        key: jax.Array,
        frozen: bool = False,
        among: Pairs | None = None,
        averaged: bool = False,
    ) -> tuple[Judgement, Statistics]:
        """D's judgement of pairs, disturbed where the game disturbs them; `key` is of that and of dropout.

        Args:
          averaged: by the average of D's parameters over steps, which does not learn.
          among: as many generated pairs, beside which D judges them as in a round: its batch normalisation,
            or what else mixes pairs, sees what it sees there. None: alone.
        """
        if averaged:
            return self._averaged().judge(x, z, key, frozen=True, among=among)
        if among is None or not may_mix_pairs(self.networks.discriminator):
            return self.judge_shown(*self.disturbed(x, z, key), key, frozen=frozen)
        x_tilde, z_tilde = among
        pairs = self.interleaved((x, z), (x_tilde.astype(x.dtype), z_tilde))
        judged, stats = self.for_both_kinds().judge_shown(*self.disturbed(*pairs, key), key, frozen=frozen)
        return part(judged, 0), stats

    def _averaged(self) -> "BoundNetworks":
        if self.average is None:
            raise UserError(
                "A term asks for the judgement of averaged parameters, and none are kept; set "
                "config.average_rate, as to 0.002, or pass init_state keep_average=True."
            )
        # Averages are float32 where parameters are bfloat16.
        params = jax.tree.map(lambda a, p: a.astype(p.dtype), self.average, self.params)
        return self._replace(params=params)

    def interleaved(self, real: Pairs, generated: Pairs) -> Pairs:
        """As many pairs of each kind as one batch for D, or for its packs; see `interleave`."""
        m = packing_of(self.networks.discriminator)
        (x, z), (x_tilde, z_tilde) = real, generated
        return interleave(x, x_tilde, m), None if z is None else interleave(z, z_tilde, m)

    def for_both_kinds(self) -> "BoundNetworks":
        """These networks for `interleaved` pairs: both kinds have the attributes of the examples."""
        return self._replace(condition=twice(self.condition, packing_of(self.networks.discriminator)))

    def disturbed(self, x: jax.Array, z: jax.Array | None, key: jax.Array) -> Pairs:
        """Pairs as D is shown them."""
        return (x, z) if self.disturb is None else self.disturb(jax.random.fold_in(key, 1), self.step, x, z)

    def judge_shown(
        self, x: jax.Array, z: jax.Array | None, key: jax.Array, frozen: bool = False
    ) -> tuple[Judgement, Statistics]:
        """`judge` of pairs that are disturbed already."""
        return self._run("discriminator", x, z, self.condition, frozen=frozen, dropout=key)

    def compare(
        self, twins: str, v: jax.Array, v2: jax.Array, key: jax.Array, frozen: bool = False
    ) -> Comparison:
        """D_xx or D_zz, by `twins` ("xx" or "zz"), at (v, v) and at (v, v2), as one batch."""
        v = v.astype(v2.dtype)
        inputs = interleave(v, v), interleave(v, v2), twice(self.condition)
        judged, stats = self._run(
            "discriminator", twins, *inputs, frozen=frozen, method="compare", dropout=key
        )
        own = {name: stats[name] for name in (f"{twins}_stack",) if name in stats}
        return Comparison(part(judged, 0), part(judged, 1), own)

    def sharded(self, noise: jax.Array) -> jax.Array:
        """Without the constraint every device may draw, and push through the networks, the noise of all."""
        return noise if self.sharding is None else jax.lax.with_sharding_constraint(noise, self.sharding)

    def _run(self, role: str, *inputs, frozen: bool = False, method: str | None = None, **rngs):
        before = variables(self.params, self.batch_stats, role)
        before = jax.lax.stop_gradient(before) if frozen else before
        options = {"train": True, "mutable": ["batch_stats"], "rngs": rngs, "method": method}
        outputs, mutated = getattr(self.networks, role).apply(before, *inputs, **options)
        return outputs, mutated.get("batch_stats", {})


def _without_statistics(player: Callable) -> Callable:
    return lambda *inputs, **options: player(*inputs, **options)[0]
