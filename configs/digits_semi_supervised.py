"""Semi-supervised ALI on scikit-learn's 8x8 digits, 10 labels a class: Section 4.3's game in minutes (ours).

    python -m ali_jax.main --config=configs/digits_semi_supervised.py --workdir=runs/digits_semi_supervised
    python -m experiments.semi_supervised --config=configs/digits_semi_supervised.py --workdir=runs/table

The networks of configs/digits.py, with a logit for each class. `:feature_matching` is the baseline of
Salimans et al. (2016): no encoder, a D of x alone, G trained to match the mean of D's features;
`:supervised` is that D trained on the labelled images alone; `:ali_mixup` and `:ali_consistency` (ours)
add those terms, `:mixup` and `:consistency` are they without a game.
Measured, 5 seeds: 5.32 %, `:feature_matching` 5.05 and `:supervised` 10.84 %
(experiments/reports/few_labels.md).
"""

from pathlib import Path

from ali_jax import config as config_lib


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("digits.py"), "paper")
    config_lib.make_semi_supervised(config, game, num_classes=10, labelled=50, unlabelled=50)
    config.train_split = "train[:1250]"
    config.validation_split = "train[1250:]"
    config.num_steps = 10_000
    config.figures_every = config.checkpoint_every = 1000
    config.num_labels = 100
    config.average_rate = 1e-3
    return config
