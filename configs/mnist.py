"""ALI on MNIST (ours: the paper has no such model), for samples and reconstructions within the hour on a CPU.

    python -m ali_jax.main --config=configs/mnist.py --workdir=runs/mnist

The layers of the paper's SVHN model, fewer and narrower.

Measured: nothing yet but that it trains, resumes and draws its figures. The full run: not run.
"""

from ali_jax import config as config_lib


def get_config():
    config = config_lib.default()
    config.dataset = "mnist"
    config.train_split = "train"
    config.validation_split = "test"
    config.num_steps = 60_000  # 100 epochs of batches of 100

    model = config.model
    model.x_shape = (28, 28, 1)
    model.latent_dim = 32
    model.leak = 0.01
    model.init_std = 0.02
    model.posterior = "gaussian"
    # operation, kernel, stride, feature maps, BN?, dropout, nonlinearity, bias
    model.encoder = (
        ("convolution", 4, 2, 32, True, 0.0, "leaky_relu"),
        ("convolution", 5, 2, 64, True, 0.0, "leaky_relu"),
        ("convolution", 5, 1, 256, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 256, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 64, False, 0.0, "linear", "tied"),  # mu 32, log sigma 32
    )
    model.generator = (
        ("convolution", 1, 1, 256, True, 0.0, "leaky_relu"),
        ("transposed", 5, 1, 64, True, 0.0, "leaky_relu"),
        ("transposed", 5, 2, 32, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 32, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 1, False, 0.0, "sigmoid", "untied"),
    )
    model.discriminator_x = (
        ("convolution", 4, 2, 32, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 5, 2, 64, True, 0.2, "leaky_relu"),
        ("convolution", 5, 1, 256, True, 0.2, "leaky_relu"),
    )
    model.discriminator_z = (
        ("convolution", 1, 1, 256, False, 0.2, "leaky_relu", "none"),
        ("convolution", 1, 1, 256, False, 0.2, "leaky_relu", "none"),
    )
    model.discriminator_joint = (
        ("convolution", 1, 1, 512, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 512, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 1, False, 0.2, "linear", "tied"),
    )
    return config
