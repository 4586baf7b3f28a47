"""Semi-supervised ALI on SVHN with 1,000 labels: the game of Section 4.3 on small networks (ours).

    python -m ali_jax.main --config=configs/svhn_small_semi_supervised.py --workdir=runs/svhn_few_labels
    python -m experiments.semi_supervised --config=configs/svhn_small_semi_supervised.py --workdir=runs/table

E, G and splits of configs/svhn.py:small, a D made to tell classes apart, and the paper's game alone, at half
weight for D, which sees images moved and changed in colour (`recipes.teach`). The paper's error of 7.42 % is
of large networks, many epochs and all images: configs/svhn_semi_supervised.py. Other games as there.
Measured on 7,000 images, 3 seeds: 7.8 %, 9.5 % by the labelled images alone, and 7.4 % by `:consistency`, in
less time (experiments/reports/few_labels.md).
"""

from pathlib import Path

from ali_jax import config as config_lib
from ali_jax import recipes


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("svhn.py"), "small")
    config.num_steps = 6_000
    config.figures_every = config.checkpoint_every = 500

    recipes.teach(config, game, "signs", num_classes=10, labelled=50, unlabelled=50)
    config.num_labels = 1000
    return config
