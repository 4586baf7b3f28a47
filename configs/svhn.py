"""ALI on SVHN: samples and reconstructions (Section 4.1), features for the SVM (Section 4.3).

    python -m ali_jax.main --config=configs/svhn.py --workdir=runs/svhn

The networks of the paper's SVHN table and the settings of its code: 531,131 images of the "extra" split,
100 epochs. Measured: 3,000 steps on a subset of 4,000 images, 2 cores of a CPU: samples show digits,
reconstructions do not follow their originals yet (experiments/README.md). The full run: not run.
"""

from ali_jax import config as config_lib


def get_config():
    config = config_lib.default()
    config.dataset = "svhn_cropped"
    config.train_split = "extra"
    config.validation_split = "train"
    config.num_steps = 531_131  # 100 epochs of batches of 100

    model = config.model
    model.x_shape = (32, 32, 3)
    model.latent_dim = 256
    model.leak = 0.01
    model.init_std = 0.01
    model.posterior = "gaussian"
    # operation, kernel, stride, feature maps, BN?, dropout, nonlinearity, bias
    model.encoder = (
        ("convolution", 5, 1, 32, True, 0.0, "leaky_relu"),
        ("convolution", 4, 2, 64, True, 0.0, "leaky_relu"),
        ("convolution", 4, 1, 128, True, 0.0, "leaky_relu"),
        ("convolution", 4, 2, 256, True, 0.0, "leaky_relu"),
        ("convolution", 4, 1, 512, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 512, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 512, False, 0.0, "linear", "tied"),  # mu 256, log sigma 256
    )
    model.generator = (
        ("transposed", 4, 1, 256, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 128, True, 0.0, "leaky_relu"),
        ("transposed", 4, 1, 64, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 32, True, 0.0, "leaky_relu"),
        ("transposed", 5, 1, 32, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 32, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 3, False, 0.0, "sigmoid", "untied"),
    )
    model.discriminator_x = (
        ("convolution", 5, 1, 32, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 4, 2, 64, True, 0.2, "leaky_relu"),
        ("convolution", 4, 1, 128, True, 0.2, "leaky_relu"),
        ("convolution", 4, 2, 256, True, 0.2, "leaky_relu"),
        ("convolution", 4, 1, 512, True, 0.2, "leaky_relu"),
    )
    model.discriminator_z = (
        ("convolution", 1, 1, 512, False, 0.2, "leaky_relu", "none"),
        ("convolution", 1, 1, 512, False, 0.2, "leaky_relu", "none"),
    )
    model.discriminator_joint = (
        ("convolution", 1, 1, 1024, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 1024, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 1, False, 0.2, "linear", "tied"),
    )
    return config
