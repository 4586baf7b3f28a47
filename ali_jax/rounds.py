"""One pass of the game: G and E make pairs, D judges them, and terms are given a `Round` of it."""

from collections.abc import Mapping
from typing import NamedTuple

import jax

from ali_jax.disturbance import Disturb
from ali_jax.interleaving import part
from ali_jax.models import Encoding, Judgement, unit_interval
from ali_jax.players import Pairs, Passes, Statistics
from ali_jax.roles import Roles
from ali_jax.terms import Needs, Players, Round


class Made(NamedTuple):
    """What G and E make of a batch of M examples."""

    shown: Pairs  # as D is shown them: both kinds in turn, disturbed
    z: jax.Array | None = None  # this and what follows as in `Round`
    x_tilde: jax.Array | None = None
    encoding: Encoding | None = None


class Keys(NamedTuple):
    """Of all that is drawn in a pass."""

    z: jax.Array
    noise: jax.Array  # of E
    judging: jax.Array  # of the disturbance and of D's dropout
    terms: jax.Array


class Pass(NamedTuple):
    """What a pass depends on beside the parameters."""

    networks: Roles
    batch: Mapping[str, jax.Array]  # as given to `train_step`
    batch_stats: Roles  # before it
    key: jax.Array  # of this step alone
    step: jax.Array | int
    needs: Needs = Needs()
    disturb: Disturb | None = None  # of all pairs before D sees them
    sharding: jax.sharding.NamedSharding | None = None  # of the batch axis of sampled noise

    def make(self, params: Roles) -> tuple[Made, tuple[Statistics, Statistics]]:
        """x -> z_hat, z -> x_tilde; and the running statistics of G and of E after it."""
        x, keys, passes = unit_interval(self.batch["x"]), self.keys(), self._passes(params)
        if not self.needs.generated:  # D alone learns, of real examples
            return Made(passes.disturbed(x, None, keys.judging)), self.batch_stats[:2]
        z = passes.laid_out(self.networks.generator.sample_prior(keys.z, len(x)))
        x_tilde, stats_g = passes.generate(z)
        encoding, z_hat, stats_e = None, z, {}  # A plain GAN: no encoder, and a D that does not look at z.
        if self.networks.encoder is not None:
            encoding, stats_e = passes.encode(x, keys.noise)
            z_hat = encoding.z
        pairs = passes.in_turn((x.astype(x_tilde.dtype), z_hat), (x_tilde, z))
        return Made(passes.disturbed(*pairs, keys.judging), z, x_tilde, encoding), (stats_g, stats_e)

    def judge(self, params: Roles, shown: tuple) -> tuple[Judgement, Statistics]:
        """D's judgement of `Made.shown`, as far as terms ask for it; and D's running statistics after it."""
        passes = self._passes(params)
        if self.needs.generated:
            passes = passes.of_both()
        judged, stats = passes.judge_shown(*shown, self.keys().judging)
        asked = {*self.needs.heads, *(("hidden",) if self.needs.hidden else ())}
        return judged._replace(**dict.fromkeys({"x", "z", "hidden"} - asked)), stats

    def round(self, made: Made, judged: Judgement) -> Round:
        """The pass as terms see it."""
        x = unit_interval(self.batch["x"])
        if not self.needs.generated:
            return Round(self.batch, x, judged, step=self.step)
        _, z, x_tilde, encoding = made
        real, generated = part(judged, 0), part(judged, 1)
        return Round(self.batch, x, real, z, x_tilde, generated, encoding, self.step)

    def players(self, params: Roles) -> Players:
        """Further passes with these parameters, as terms may ask for them."""
        return self._passes(params).players()

    def keys(self) -> Keys:
        """The step's key by purpose.

        Without generated pairs `judging` is the whole key, as in earlier versions; z and noise are not drawn.
        """
        z, noise, judging, terms = jax.random.split(self.key, 4)
        return Keys(z, noise, judging if self.needs.generated else self.key, terms)

    def _passes(self, params: Roles) -> Passes:
        condition = self.batch.get("attributes")
        return Passes(
            self.networks, params, self.batch_stats, self.step, condition, self.disturb, self.sharding
        )
