"""One pass of the game: G and E make pairs, D judges them, and terms are given a `Round` of it."""

from collections.abc import Mapping
from typing import NamedTuple

import jax

from ali_jax.interleaving import part
from ali_jax.models import Encoding, Judgement, unit_interval
from ali_jax.players import BoundNetworks, Pairs, Statistics
from ali_jax.roles import Roles
from ali_jax.terms import Needs, Players, Round


class Made(NamedTuple):
    """What G and E make of a batch of M examples."""

    shown: Pairs  # as D is shown them: both kinds in turn, disturbed
    z: jax.Array | None = None  # this and what follows as in `Round`
    x_tilde: jax.Array | None = None
    encoding: Encoding | None = None


class Keys(NamedTuple):
    """Random keys of a step, by what is drawn."""

    z: jax.Array
    noise: jax.Array  # of E's draw from q(z|x)
    discriminator: jax.Array  # of the disturbance and of D's dropout
    terms: jax.Array


class ForwardPass(NamedTuple):
    """The forward pass of a step, as a function of the parameters."""

    bound: BoundNetworks  # as before the step; each part of the pass has the parameters that it is given
    batch: Mapping[str, jax.Array]  # as given to `train_step`
    key: jax.Array  # of this step alone; see `keys`
    needs: Needs = Needs()  # of all terms

    def make(self, params: Roles) -> tuple[Made, tuple[Statistics, Statistics]]:
        """x -> z_hat, z -> x_tilde; and the running statistics of G and of E after it."""
        x, keys, bound = unit_interval(self.batch["x"]), self.keys(), self.bound._replace(params=params)
        if not self.needs.generated:  # D alone learns, of real examples
            return Made(bound.disturbed(x, None, keys.discriminator)), bound.batch_stats[:2]
        z = bound.sharded(bound.networks.generator.sample_prior(keys.z, len(x)))
        x_tilde, stats_g = bound.generate(z)
        encoding, z_hat, stats_e = None, z, {}  # A plain GAN: no encoder, and a D that does not look at z.
        if bound.networks.encoder is not None:
            encoding, stats_e = bound.encode(x, keys.noise)
            z_hat = encoding.z
        pairs = bound.interleaved((x.astype(x_tilde.dtype), z_hat), (x_tilde, z))
        return Made(bound.disturbed(*pairs, keys.discriminator), z, x_tilde, encoding), (stats_g, stats_e)

    def judge(self, params: Roles, shown: tuple) -> tuple[Judgement, Statistics]:
        """D's judgement of `Made.shown`, as far as terms ask for it; and D's running statistics after it."""
        bound = self.bound._replace(params=params)
        if self.needs.generated:
            bound = bound.for_both_kinds()
        judged, stats = bound.judge_shown(*shown, self.keys().discriminator)
        asked = {*self.needs.heads, *(("hidden",) if self.needs.hidden else ())}
        return judged._replace(**dict.fromkeys({"x", "z", "hidden"} - asked)), stats

    def round(self, made: Made, judged: Judgement) -> Round:
        """The pass as terms see it."""
        x = unit_interval(self.batch["x"])
        if not self.needs.generated:
            return Round(self.batch, x, judged, step=self.bound.step)
        _, z, x_tilde, encoding = made
        real, generated = part(judged, 0), part(judged, 1)
        return Round(self.batch, x, real, z, x_tilde, generated, encoding, self.bound.step)

    def players(self, params: Roles) -> Players:
        """Further passes with these parameters, as terms may ask for them."""
        return self.bound._replace(params=params).players()

    def keys(self) -> Keys:
        """The step's key by purpose.

        Without generated pairs that of the discriminator is the whole key, as in earlier versions; z and
        noise are not drawn.
        """
        z, noise, discriminator, terms = jax.random.split(self.key, 4)
        return Keys(z, noise, discriminator if self.needs.generated else self.key, terms)
