"""Semi-supervised ALI on CIFAR-10 with 4,000 labels: the game of Section 4.3 on small networks (ours).

    python -m ali_jax.main --config=configs/cifar10_small_semi_supervised.py --workdir=runs/cifar10_few_labels
    python -m experiments.semi_supervised --workdir=runs/table \
        --config=configs/cifar10_small_semi_supervised.py

The G, E and game of configs/svhn_small_semi_supervised.py, on images that mean the same in a mirror. D_x is
deeper, with batch normalisation, and ends in the mean over the image; what D_z says is bounded, as E now and
then makes codes so far out that they would drown it. The paper's error of 17.99 % is of large networks and
many epochs: configs/cifar10_semi_supervised.py. `:recipe`, `:feature_matching`, `:consistency` and
`:supervised` as there. Measured: see experiments/README.md.
"""

from pathlib import Path

from ali_jax import config as config_lib
from ali_jax.models.rows import conv, mean


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("svhn_small_semi_supervised.py"), game)
    config.dataset = "cifar10"
    config.train_split = "train[:45000]"
    config.validation_split = "train[45000:]"
    config.num_labels = 4000
    config.num_steps = 6_000
    config.disturbance.colour = 0.0
    config.disturbance.mirror = 0.5

    config.model.discriminator_x = (
        conv(64, 3, norm=True),
        conv(64, 4, stride=2, norm=True),
        conv(128, 3, norm=True, dropout=0.2),
        conv(128, 4, stride=2, norm=True),
        conv(256, 3, norm=True, dropout=0.2),
        conv(256, norm=True),
        mean(256),
    )
    if config.model.discriminator_z is not None:
        config.model.discriminator_z = (
            conv(256, input_noise=0.5),
            conv(256, dropout=0.2, nonlinearity="tanh"),
        )
    return config
