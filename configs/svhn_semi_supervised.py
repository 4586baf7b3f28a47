"""Semi-supervised ALI on SVHN with 1,000 labels (Section 4.3): published error 7.42 % +- 0.65.

    python -m ali_jax.main --config=configs/svhn_semi_supervised.py --workdir=runs/svhn_semi_supervised
    python -m experiments.semi_supervised --config=configs/svhn_semi_supervised.py --workdir=runs/table

The networks of configs/svhn.py with a logit for each class. The paper states no networks, optimiser or length
for this; they are ours, after Salimans et al. (2016): 100 labelled and 100 unlabelled images a step, 900
epochs, Adam at 3e-4 that decays at the end, averaged parameters. All but the last 10,000 images of the split
`train` are trained on (those choose among settings), `extra` is not used. `:feature_matching` is the
baseline of Salimans et al. on the same networks, `:supervised` the discriminator without z on the labelled
images alone, `:ali_mixup` and `:ali_consistency` (ours) add those terms, `:mixup` and `:consistency` are
they without a game. Measured: nothing yet. The full run: not run.
"""

from pathlib import Path

from ali_jax import config as config_lib


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("svhn.py"))
    config_lib.make_semi_supervised(config, game, num_classes=10, labelled=100, unlabelled=100)
    config.train_split = "train[:63257]"
    config.validation_split = "train[63257:]"
    config.num_steps = 569_313  # 900 epochs of 100 unlabelled images a step
    config.num_labels = 1000
    config.learning_rate = 3e-4
    config.decay_after = 2 / 3
    config.average_rate = 1e-4
    return config
