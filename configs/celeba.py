"""ALI on CelebA at 64x64: samples, reconstructions, interpolations (Sections 4.1 and 4.2).

    python -m ali_jax.main --config=configs/celeba.py --workdir=runs/celeba

162,770 training images, 123 epochs. The paper's table has batch normalisation on D's first layer and no
dropout on those of D(x); its code, followed here, has a bias and dropout 0.2.

    --config=configs/celeba.py:paper      D(x) as in the table

Measured: 800 steps of 20 images (experiments/README.md). The full run: not run.
"""

from ali_jax import config as config_lib


def get_config(reading: str = "recommended"):
    config = config_lib.default()
    config.dataset = "celeb_a"
    config.train_split = "train"
    config.validation_split = "validation"
    config.num_steps = 200_207  # 123 epochs of batches of 100

    drop = config_lib.reading(reading, recommended=0.2, code=0.2, paper=0.0)
    first_norm = config_lib.reading(reading, recommended=False, code=False, paper=True)
    model = config.model
    model.x_shape = (64, 64, 3)
    model.latent_dim = 256
    model.leak = 0.02
    model.init_std = 0.01
    model.posterior = "gaussian"
    # operation, kernel, stride, feature maps, BN?, dropout, nonlinearity, bias
    model.encoder = (
        ("convolution", 2, 1, 64, True, 0.0, "leaky_relu"),
        ("convolution", 7, 2, 128, True, 0.0, "leaky_relu"),
        ("convolution", 5, 2, 256, True, 0.0, "leaky_relu"),
        ("convolution", 7, 2, 256, True, 0.0, "leaky_relu"),
        ("convolution", 4, 1, 512, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 512, False, 0.0, "linear", "tied"),  # mu 256, log sigma 256
    )
    model.generator = (
        ("transposed", 4, 1, 512, True, 0.0, "leaky_relu"),
        ("transposed", 7, 2, 256, True, 0.0, "leaky_relu"),
        ("transposed", 5, 2, 256, True, 0.0, "leaky_relu"),
        ("transposed", 7, 2, 128, True, 0.0, "leaky_relu"),
        ("transposed", 2, 1, 64, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 3, False, 0.0, "sigmoid", "untied"),
    )
    model.discriminator_x = (
        (
            *("convolution", 2, 1, 64, first_norm, drop, "leaky_relu"),
            "none" if first_norm else "tied",
        ),
        ("convolution", 7, 2, 128, True, drop, "leaky_relu"),
        ("convolution", 5, 2, 256, True, drop, "leaky_relu"),
        ("convolution", 7, 2, 256, True, drop, "leaky_relu"),
        ("convolution", 4, 1, 512, True, drop, "leaky_relu"),
    )
    model.discriminator_z = (
        ("convolution", 1, 1, 1024, False, 0.2, "leaky_relu", "none"),
        ("convolution", 1, 1, 1024, False, 0.2, "leaky_relu", "none"),
    )
    model.discriminator_joint = (
        ("convolution", 1, 1, 2048, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 2048, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 1, False, 0.2, "linear", "tied"),
    )
    return config
