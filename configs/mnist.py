"""ALI on MNIST, or Fashion-MNIST (ours: the paper has no such model), for minutes on a CPU.

    python -m ali_jax.main --config=configs/mnist.py --workdir=runs/mnist

Dense networks, ten times as fast on a CPU as narrow convolutions. The game is ours: beside the paper's, a
cycle that ties reconstructions to their images, a contrast that has E tell images apart by what survives
noise and a move of up to two pixels, and a check on D's slope, with an average of the parameters under a
falling rate; experiments/README.md says how it was chosen. The paper's game, on convolutions:
`--config=configs/mnist.py:paper`.

Measured: see "MNIST" in experiments/README.md.
"""

from ali_jax import config as config_lib
from ali_jax.models.rows import conv, dense, transposed


def get_config(game: str = "ours"):
    config = config_lib.default()
    config.dataset = "mnist"
    config.train_split = "train[:55000]"
    config.validation_split = "train[55000:]"
    config.model.x_shape = (28, 28, 1)
    config.model.latent_dim = 32
    config.model.posterior = "gaussian"
    if config_lib.reading(game, ours=True, paper=False):
        _make_ours(config)
    else:
        _make_the_papers(config)
    return config


def _make_ours(config):
    config.terms = config_lib.as_terms(
        {
            "adversarial": {},
            "cycle": {"weight": 5.0},
            "contrast": {"temperature": 0.3, "translation": 0.08, "noise": 0.7},
            "r1": {"gamma": 0.1, "every": 4},
        }
    )
    config.num_steps = 8_000
    config.steps_per_dispatch = 10
    config.learning_rate = 1e-3
    config.decay_after = 0.5
    config.average_rate = 2e-3
    config.figures_every = config.checkpoint_every = 2000

    model = config.model
    model.leak = 0.1
    model.init_std = 0.05
    # dense(units): no dropout and leaky ReLU where nothing else is said.
    model.encoder = (
        dense(512, norm=True),
        dense(512, norm=True),
        dense(64, nonlinearity="linear"),  # mu 32, log sigma 32
    )
    model.generator = (
        dense(512, norm=True),
        dense(512, norm=True),
        dense(784, nonlinearity="sigmoid", bias="untied"),
    )
    model.discriminator_x = (
        dense(512, dropout=0.2),
        dense(512, dropout=0.2),
    )
    model.discriminator_z = (dense(512, dropout=0.2),)
    model.discriminator_joint = (
        dense(512, dropout=0.2),
        dense(512, dropout=0.2),
        dense(1, dropout=0.2, nonlinearity="linear"),
    )


def _make_the_papers(config):
    """The layers of the paper's SVHN model, fewer and narrower."""
    config.num_steps = 60_000

    model = config.model
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
