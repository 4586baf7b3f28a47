"""Semi-supervised ALI on SVHN with 1,000 labels: the game of Section 4.3 on small networks (ours).

    python -m ali_jax.main --config=configs/svhn_small_semi_supervised.py --workdir=runs/svhn_few_labels
    python -m experiments.semi_supervised --config=configs/svhn_small_semi_supervised.py --workdir=runs/table

E, G and splits of configs/svhn.py:small, and the paper's game alone. D is after that of Salimans et al.
(2016), with few layers: weight normalised from a start on data, with much dropout in its middle; noise on z
keeps it from knowing images by their codes. Images are moved and coloured before D sees them, as few labels
are soon learned by heart. The paper's error of 7.42 % is of large networks, many epochs and all images:
configs/svhn_semi_supervised.py. `:recipe`, `:feature_matching`, `:consistency` and `:supervised` as there.
Measured, one seed: 22.1 %, and 21.7 % by the labelled images alone (experiments/README.md).
"""

from pathlib import Path

from ali_jax import config as config_lib
from ali_jax.models.rows import conv


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("svhn.py"), "small")
    config.num_steps = 8_000
    config.figures_every = config.checkpoint_every = 500

    model = config.model
    model.discriminator_x = (
        conv(64, 4, stride=2, dropout=0.2),
        conv(128, 3, stride=2),
        conv(128, 3, dropout=0.5),
        conv(256, 5),
    )
    model.discriminator_z = (conv(256, input_noise=0.5), conv(256, dropout=0.2))
    model.discriminator_joint = (conv(256, dropout=0.5), conv(1, nonlinearity="linear"))
    config_lib.make_semi_supervised(config, game, num_classes=10, labelled=50, unlabelled=50)
    parts = ("discriminator_x", "discriminator_z", "discriminator_joint")
    model.weight_norm = tuple(part for part in parts if model[part])
    if "adversarial" in config.terms:
        config.terms.adversarial.d = 0.5  # beside the labels' weight of 1
    config.num_labels = 1000
    config.disturbance.translation = 0.125
    config.disturbance.colour = 0.5
    return config
