"""Semi-supervised ALI on MNIST with 100 labels: Section 4.3's game (ours: the paper shows SVHN and CIFAR-10).

    python -m ali_jax.main --config=configs/mnist_semi_supervised.py --workdir=runs/mnist_semi_supervised
    python -m experiments.semi_supervised --config=configs/mnist_semi_supervised.py --workdir=runs/table

Permutation-invariant: dense networks, as in Salimans et al. (2016), whose feature matching reaches an error
of 0.93 % +- 0.065. `:feature_matching` is that baseline on our networks, `:supervised` the discriminator
without z on the labelled images alone. Measured: see experiments/README.md.
"""

from pathlib import Path

from ali_jax import config as config_lib


def get_config(game: str = "ali"):
    config = config_lib.load(Path(__file__).with_name("mnist.py"))
    config.train_split = "train[:55000]"
    config.validation_split = "train[55000:]"
    config.num_steps = 16_500  # 30 epochs of 100 unlabelled images a step
    config.learning_rate = 1e-3
    config.decay_after = 0.5
    config.average_rate = 1e-3
    config.log_every = 550
    config.figures_every = config.checkpoint_every = 1650

    model = config.model
    model.latent_dim = 32
    model.leak = 0.1
    model.init_std = 0.05
    # operation, kernel, stride, feature maps, BN?, dropout, nonlinearity, bias, noise
    model.encoder = (
        ("dense", 1, 1, 500, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 500, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 64, False, 0.0, "linear", "tied"),  # mu 32, log sigma 32
    )
    model.generator = (
        ("dense", 1, 1, 500, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 500, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 784, False, 0.0, "sigmoid", "untied"),
    )
    # Gaussian noise on D's inputs in place of dropout, as Salimans et al.: the last column of its rows.
    model.discriminator_x = (
        ("dense", 1, 1, 500, False, 0.0, "leaky_relu", "tied", 0.3),
        ("dense", 1, 1, 250, False, 0.0, "leaky_relu", "tied", 0.3),
    )
    model.discriminator_z = (("dense", 1, 1, 250, False, 0.0, "leaky_relu", "tied", 0.5),)
    model.discriminator_joint = (
        ("dense", 1, 1, 250, False, 0.0, "leaky_relu", "tied", 0.3),
        ("dense", 1, 1, 250, False, 0.0, "leaky_relu", "tied", 0.3),
        ("dense", 1, 1, 1, False, 0.0, "linear", "tied", 0.3),
    )
    config_lib.make_semi_supervised(config, game, num_classes=10, labelled=50, unlabelled=100)
    config.num_labels = 100
    return config
