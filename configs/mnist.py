"""ALI on MNIST, or Fashion-MNIST (ours: the paper has no such model), for an hour on a CPU.

    python -m ali_jax.main --config=configs/mnist.py --workdir=runs/mnist

Game and networks are the small recipe's for strokes and for the size (see `recipes`). The paper's game, on
layers like those of its SVHN model: `--config=configs/mnist.py:paper`.

Measured: 12,000 steps in bfloat16, half an hour of one core of a CPU, 3 seeds: reconstructions keep the
digit of 97.9 % of test images, and the nearest neighbour by code is right for 96.6 %
(experiments/reports/mnist.md).
"""

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.models.rows import conv, transposed


def get_config(game: str = "ours"):
    config = config_lib.default()
    config.dataset = "mnist"
    config.train_split = "train[:55000]"
    config.validation_split = "train[55000:]"
    config.model.x_shape = (28, 28, 1)
    config.model.posterior = "gaussian"
    _make_the_papers(config)
    if config_lib.reading(game, ours=True, paper=False):
        config = recipes.vary(config, "small", small_steps=12_000, kind="strokes")
    return config


def _make_the_papers(config):
    """The layers of the paper's SVHN model, fewer and narrower."""
    config.num_steps = 60_000

    model = config.model
    model.latent_dim = 32
    model.leak = 0.01
    model.init_std = 0.02
    # conv(feature maps, side of the kernel): stride 1, no dropout and leaky ReLU where nothing else is said.
    model.encoder = (
        conv(32, 4, stride=2, norm=True),
        conv(64, 5, stride=2, norm=True),
        conv(256, 5, norm=True),
        conv(256, 1, norm=True),
        conv(64, 1, nonlinearity="linear"),  # mu 32, log sigma 32
    )
    model.generator = (
        conv(256, 1, norm=True),
        transposed(64, 5, norm=True),
        transposed(32, 5, stride=2, norm=True),
        transposed(32, 4, stride=2, norm=True),
        conv(1, 1, nonlinearity="sigmoid", bias="untied"),
    )
    model.discriminator_x = (
        conv(32, 4, stride=2, dropout=0.2),
        conv(64, 5, stride=2, norm=True, dropout=0.2),
        conv(256, 5, norm=True, dropout=0.2),
    )
    model.discriminator_z = (
        conv(256, 1, dropout=0.2, bias="none"),
        conv(256, 1, dropout=0.2, bias="none"),
    )
    model.discriminator_joint = (
        conv(512, 1, dropout=0.2),
        conv(512, 1, dropout=0.2),
        conv(1, 1, dropout=0.2, nonlinearity="linear"),
    )
