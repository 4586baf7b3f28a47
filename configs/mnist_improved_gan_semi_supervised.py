r"""MNIST with 100 labels, by the published recipe of "Improved Techniques for Training GANs".

    python -m ali_jax.main --config=configs/mnist_improved_gan_semi_supervised.py:feature_matching \
        --workdir=runs/feature_matching
    python -m experiments.semi_supervised --config=configs/mnist_improved_gan_semi_supervised.py \
        --methods=feature_matching --workdir=runs/table

`:feature_matching` is the game of Salimans et al. (2016), without an encoder: an error of 0.93 % +- 0.065 is
published. Widths, weight normalisation and its start on 500 images, noise, rates, the average and 300 epochs
are theirs. Not theirs: 55,000 images, as 5,000 are held out, for 60,000; one simultaneous update for one of D
and then one of G; 200 generated images a step for 100; where D's logits start (see `models.undecided`); and
init_std, which to normalised kernels means how fast they turn.

`:ali`, what the config is without a variant, is ours: ALI with a D of these layers, which codes join at the
fourth. `:ali_mixup` and `:ali_consistency` add those terms, `:mixup` and `:consistency` are they without a
game, and `:supervised` is D alone on the labelled images.
Measured, five seeds: `:feature_matching` 1.48 % +- 0.48 (experiments/reports/few_labels.md). `:ali` in full:
not run.
"""

from pathlib import Path

from ali_jax import config as config_lib
from ali_jax.models.rows import dense

HIDDEN = (1000, 500, 250, 250, 250)


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("mnist.py"), "paper")
    config.num_steps = 165_000  # 300 epochs of 100 unlabelled images a step
    config.learning_rate = 3e-3
    config.average_rate = 1e-4
    config.log_every = 550
    config.figures_every = config.checkpoint_every = 5500

    model = config.model
    model.latent_dim = 100
    model.prior = "normal" if game in config_lib.OF_PAIRS else "uniform"
    model.init_std = 0.1
    model.encoder = (
        dense(1000, norm=True),
        dense(500, norm=True),
        dense(200, nonlinearity="linear"),  # mu 100, log sigma 100
    )
    model.generator = (
        dense(500, norm=True, nonlinearity="softplus"),
        dense(500, norm=True, nonlinearity="softplus"),
        dense(784, nonlinearity="sigmoid"),
    )
    first, *others = HIDDEN
    hidden = (
        dense(first, nonlinearity="relu", input_noise=0.3),
        *(dense(units, nonlinearity="relu", input_noise=0.5) for units in others),
    )
    head = dense(1, nonlinearity="linear", input_noise=0.5)
    before_codes = 3 if game in config_lib.OF_PAIRS else 0
    model.discriminator_x = hidden[:before_codes]
    model.discriminator_z = (dense(250, nonlinearity="relu", input_noise=0.5),)
    model.discriminator_joint = (*hidden[before_codes:], head)
    config_lib.make_semi_supervised(config, game, num_classes=10, labelled=100, unlabelled=100)
    parts = ("discriminator_x", "discriminator_z", "discriminator_joint")
    model.weight_norm = ("generator", *(part for part in parts if model[part]))
    if "adversarial" in config.terms:
        config.terms.adversarial.d = 0.5  # beside the labels' weight of 1
    config.num_labels = 100
    return config
