"""Semi-supervised ALI on CIFAR-10 with 4,000 labels (Section 4.3): published error 17.99 % +- 1.62.

    python -m ali_jax.main --config=configs/cifar10_semi_supervised.py --workdir=runs/cifar10_semi_supervised
    python -m experiments.semi_supervised --config=configs/cifar10_semi_supervised.py --workdir=runs/table

The networks of configs/cifar10.py with a logit for each class. The paper states no networks, optimiser or
length for this; they are ours, after Salimans et al. (2016): 100 labelled and 100 unlabelled images a step,
1,200 epochs, Adam at 3e-4 that decays at the end, averaged parameters. The last 5,000 training images are
held out, to choose among settings. `:feature_matching` is the baseline of Salimans et al. on the same
networks, `:supervised` the discriminator without z on the labelled images alone, `:ali_mixup` and
`:ali_consistency` (ours) add those terms, `:mixup` and `:consistency` are they without a game.
Other label counts of the paper: --config.num_labels=1000, 2000, 8000 (19.98, 19.09, 17.05 %).
Measured: 26,000 steps (experiments/reports/few_labels.md). The full run: not run.
"""

from pathlib import Path

from ali_jax import config as config_lib


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("cifar10.py"))
    config_lib.make_semi_supervised(config, game, num_classes=10, labelled=100, unlabelled=100)
    config.num_steps = 540_000  # 1,200 epochs of 100 unlabelled images a step
    config.num_labels = 4000
    config.learning_rate = 3e-4
    config.decay_after = 2 / 3
    config.average_rate = 1e-4
    return config
