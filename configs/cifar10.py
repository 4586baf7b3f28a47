"""ALI on CIFAR-10: samples and reconstructions (Section 4.1).

    python -m ali_jax.main --config=configs/cifar10.py --workdir=runs/cifar10

The first 45,000 training images, 6,475 epochs. D has maxout layers and no batch normalisation; the paper's
table and its code disagree about it in two places:

* widths: the code's feature maps are counted BEFORE the maximum over pairs (as here), which makes the input
  of D(x, z) 512 wide; the table says 1024, which is right if they are counted after it.
* dropout: the table drops 0.5 of every layer's input (as here); the code leaves out two of them and drops
  the third convolution's output.

    --config=configs/cifar10.py:code      both as in the code
    --config=configs/cifar10.py:paper     both as in the table

Measured: nothing yet but that it trains, resumes and draws its figures. The full run: not run.
"""

from ali_jax import config as config_lib


def get_config(reading: str = "recommended"):
    config = config_lib.default()
    config.dataset = "cifar10"
    config.train_split = "train[:45000]"
    config.validation_split = "train[45000:]"
    config.num_steps = 2_913_750  # 6,475 epochs of batches of 100

    wide = config_lib.reading(reading, recommended=1, code=1, paper=2)
    model = config.model
    model.x_shape = (32, 32, 3)
    model.latent_dim = 64
    model.leak = 0.1
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
        ("convolution", 1, 1, 128, False, 0.0, "linear", "tied"),  # mu 64, log sigma 64
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
    # Feature maps before the maximum over pairs of them.
    every_input = (
        ("convolution", 5, 1, 32 * wide, False, 0.2, "maxout2", "tied"),
        ("convolution", 4, 2, 64 * wide, False, 0.5, "maxout2", "tied"),
        ("convolution", 4, 1, 128 * wide, False, 0.5, "maxout2", "tied"),
        ("convolution", 4, 2, 256 * wide, False, 0.5, "maxout2", "tied"),
        ("convolution", 4, 1, 512 * wide, False, 0.5, "maxout2", "tied"),
    )
    as_in_code = (
        ("convolution", 5, 1, 32, False, 0.2, "maxout2", "tied"),
        ("convolution", 4, 2, 64, False, 0.5, "maxout2", "tied"),
        ("convolution", 4, 1, 128, False, 0.0, "linear", "tied"),
        ("identity", 1, 1, 128, False, 0.5, "maxout2"),
        ("convolution", 4, 2, 256, False, 0.0, "maxout2", "tied"),
        ("convolution", 4, 1, 512, False, 0.5, "maxout2", "tied"),
    )
    model.discriminator_x = config_lib.reading(
        reading, recommended=every_input, code=as_in_code, paper=every_input
    )
    model.discriminator_z = (
        ("convolution", 1, 1, 512 * wide, False, 0.2, "maxout2", "none"),
        ("convolution", 1, 1, 512 * wide, False, 0.5, "maxout2", "none"),
    )
    model.discriminator_joint = (
        ("convolution", 1, 1, 1024 * wide, False, 0.5, "maxout2", "tied"),
        ("convolution", 1, 1, 1024 * wide, False, 0.5, "maxout2", "tied"),
        ("convolution", 1, 1, 1, False, 0.5, "linear", "tied"),
    )
    return config
