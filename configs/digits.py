"""ALI on scikit-learn's 8x8 scans of digits: the whole program in minutes, with no download.

python -m ali_jax.main --workdir=runs/digits
"""

from ali_jax import config as config_lib


def get_config():
    config = config_lib.default()
    config.dataset = "digits"
    config.train_split = "train"
    config.validation_split = "test"
    config.num_steps = 20_000
    config.steps_per_dispatch = 20
    config.learning_rate = 1e-3
    config.log_every = 1000
    config.figures_every = 4000
    config.checkpoint_every = 4000

    model = config.model
    model.x_shape = (8, 8, 1)
    model.latent_dim = 16
    model.leak = 0.1
    model.init_std = 0.05
    model.posterior = "gaussian"
    # operation, kernel, stride, feature maps, BN?, dropout, nonlinearity, bias
    model.encoder = (
        ("dense", 1, 1, 256, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 256, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 32, False, 0.0, "linear", "tied"),  # mu 16, log sigma 16
    )
    model.generator = (
        ("dense", 1, 1, 256, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 256, True, 0.0, "leaky_relu"),
        ("dense", 1, 1, 64, False, 0.0, "sigmoid", "untied"),
    )
    model.discriminator_x = (
        ("dense", 1, 1, 256, False, 0.2, "leaky_relu", "tied"),
        ("dense", 1, 1, 256, False, 0.2, "leaky_relu", "tied"),
    )
    model.discriminator_z = (("dense", 1, 1, 256, False, 0.2, "leaky_relu", "tied"),)
    model.discriminator_joint = (
        ("dense", 1, 1, 256, False, 0.2, "leaky_relu", "tied"),
        ("dense", 1, 1, 256, False, 0.2, "leaky_relu", "tied"),
        ("dense", 1, 1, 1, False, 0.2, "linear", "tied"),
    )
    return config
