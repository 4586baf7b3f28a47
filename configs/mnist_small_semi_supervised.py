"""Semi-supervised ALI on MNIST with 100 labels: the game of Section 4.3 on small convolutions (ours).

    python -m ali_jax.main --config=configs/mnist_small_semi_supervised.py:recipe --workdir=runs/few_labels
    python -m experiments.semi_supervised --config=configs/mnist_small_semi_supervised.py --workdir=runs/table

E and G of configs/mnist.py but narrower, a D made to tell classes apart, and the paper's game alone, at half
weight for D, which sees images moved (`recipes.teach`). Variants behind the colon as those of
configs/mnist_semi_supervised.py, whose dense networks do not know that pixels have neighbours. Measured: see
experiments/README.md.
"""

from pathlib import Path

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.models.rows import conv, mean

WIDTH = 8  # of E and G; half the features of D's first layer


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("mnist.py"), "paper")
    config.num_steps = 20_000
    config.learning_rate = 1e-3
    config.decay_after = 0.5
    config.average_rate = 2e-3
    config.figures_every = config.checkpoint_every = 1000
    recipes.make_small(config.model, 64, width=WIDTH)
    recipes.teach(config, game, "strokes", num_classes=10, labelled=50, unlabelled=100, width=WIDTH)
    # A stride from the first layer on: strokes are wide enough, and a step takes a bit over half its time.
    config.model.discriminator_x = (
        conv(16, 4, stride=2, norm=True),
        conv(32, 3, norm=True, dropout=0.2),
        conv(32, 5, stride=2, norm=True),
        conv(64, 3, norm=True, dropout=0.2),
        conv(64, norm=True),
        mean(64),
    )
    if "consistency" in config.terms:
        config.terms.consistency.weight = 5.0
    config.num_labels = 100
    return config
