"""ALI on a mixture of 25 Gaussians in the plane: the data of Section 4.5 and figure 8.

    python -m ali_jax.main --config=configs/mixture.py --workdir=runs/mixture

100,000 points. The game is ours: beside the paper's, a cycle that ties reconstructions to their points, a
little of what ties E's codes of samples to theirs, noise on x that hides the modes at first, a Gaussian
q(z|x), and an average of the parameters under a rate that falls when the noise is gone.

    --config=configs/mixture.py:ali      the paper's game and settings, 200 epochs. It draws learning rate, b1
                                         and the standard deviation of the weights at random; these are the
                                         fixed ones of its code, whose "0.8" is today's b1 = 0.2
    --config=configs/mixture.py:gan      its baseline: the same generator, no encoder, D sees x alone

Measured, ten seeds: all 25 modes, 97.8 % of samples good, a reconstruction error of 0.19; `:ali` and `:gan`
for 12 of their 200 epochs, ten draws: 22.4 and 23.3 modes (experiments/reports/mixture.md).
"""

from ali_jax import config as config_lib
from ali_jax.models.rows import dense, noise


def get_config(game: str = "ours"):
    config = config_lib.default()
    config.dataset = "mixture"
    config.train_split = "train"
    config.validation_split = "test"
    config.num_steps = 200_000  # 200 epochs of batches of 100
    config.steps_per_dispatch = 20
    config.b1 = 0.2
    if config_lib.reading(game, ours=True, ali=False, gan=False):
        # The cycle alone makes q(z) clumps, one for each mode; more of the regression brings draws back to
        # other modes. Where G learns from it too, some runs lose modes in bursts.
        regression = {"weight": 0.05, "generator": False}
        config.terms = config_lib.as_terms(
            {"adversarial": {}, "cycle": {"weight": 1.0}, "latent_regression": regression}
        )
        config.disturbance.noise_x = 1.0
        config.disturbance.noise_until = 0.2
        config.num_steps = 40_000
        config.learning_rate = 1e-3
        config.b1 = 0.5
        config.decay_after = 0.2
        config.average_rate = 2e-3
    config.log_every = 1000
    config.figures_every = 10_000
    config.checkpoint_every = 10_000

    model = config.model
    model.x_shape = (2,)
    model.latent_dim = 2
    model.leak = 0.0
    model.init_std = 0.02
    # dense(units): no dropout anywhere.
    layers = dense(400, norm=True, nonlinearity="relu"), dense(400, norm=True, nonlinearity="relu")
    implicit = (noise(2), *layers, dense(2, nonlinearity="linear"))
    # An implicit q(z|x), of a network of x and noise, may have two humps. Some runs then begin with a G that
    # is folded over itself, where two codes make the same point, and find some modes late or never.
    gaussian = (*layers, dense(4, nonlinearity="linear"))  # mu 2, log sigma 2
    model.posterior = config_lib.reading(game, ours="gaussian", ali="noise", gan="noise")
    model.encoder = config_lib.reading(game, ours=gaussian, ali=implicit, gan=None)
    model.generator = (
        dense(400, norm=True, nonlinearity="relu"),
        dense(400, norm=True, nonlinearity="relu"),
        dense(400, norm=True, nonlinearity="relu"),
        dense(400, norm=True, nonlinearity="relu"),
        dense(2, nonlinearity="linear"),
    )
    # D(x) and D(z) pass x and z on; 1000 features are 200 units of 5 pieces.
    model.discriminator_x = ()
    model.discriminator_z = config_lib.reading(game, ours=(), ali=(), gan=None)
    model.discriminator_joint = (
        dense(1000, nonlinearity="maxout5"),
        dense(1000, nonlinearity="maxout5"),
        dense(1000, nonlinearity="maxout5"),
        dense(1, nonlinearity="linear"),
    )
    return config
