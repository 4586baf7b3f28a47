r"""Semi-supervised ALI on CIFAR-10 with 4,000 labels: the game of Section 4.3 on small networks (ours).

    python -m ali_jax.main --config=configs/cifar10_small_semi_supervised.py --workdir=runs/cifar10_few_labels
    python -m experiments.semi_supervised --workdir=runs/table \
        --config=configs/cifar10_small_semi_supervised.py

The networks and the game of configs/svhn_small_semi_supervised.py, on images that mean the same in a mirror.
The paper's error of 17.99 % is of large networks and many epochs: configs/cifar10_semi_supervised.py.
Other games as there. Measured, 16,000 steps, one seed: 27.5 %, 28.3 % by the labelled images
alone, and 24.6 % by `:mixup`, two seeds (experiments/reports/few_labels.md).
"""

from pathlib import Path

from ali_jax import config as config_lib


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("svhn_small_semi_supervised.py"), game)
    config.dataset = "cifar10"
    config.train_split = "train[:45000]"
    config.validation_split = "train[45000:]"
    config.num_labels = 4000
    config.disturbance.colour = 0.0
    config.disturbance.mirror = 0.5
    return config
