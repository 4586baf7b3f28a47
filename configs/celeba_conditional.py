"""ALI on CelebA, conditional on its 40 attributes (Section 4.4).

    python -m ali_jax.main --config=configs/celeba_conditional.py --workdir=runs/celeba_conditional

As configs/celeba.py, with batches of 128 and an embedding of the attributes (256 wide) appended to the input
of E's last layer, of G's first and of D(x, z)'s first. The paper says "linearly embedded" of each of the
three networks: each learns its own (ours, a choice). In its code one random embedding is shared by all three
and never trained:

    --config=configs/celeba_conditional.py:code

Measured: nothing yet but that it trains, resumes and draws its figures. The full run: not run.
"""

from ali_jax import config as config_lib


def get_config(reading: str = "recommended"):
    config = config_lib.default()
    config.dataset = "celeb_a"
    config.train_split = "train"
    config.validation_split = "validation"
    config.batch_size = 128
    config.num_steps = 156_411  # 123 epochs of batches of 128

    learned = ("embed", 1, 1, 256, False, 0.0, "linear", "tied")
    frozen = ("embed_frozen", 1, 1, 256, False, 0.0, "linear", "none")
    embedding = config_lib.reading(reading, recommended=learned, code=frozen, paper=learned)
    model = config.model
    model.x_shape = (64, 64, 3)
    model.latent_dim = 256
    model.num_attributes = 40
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
        embedding,
        ("convolution", 1, 1, 512, False, 0.0, "linear", "tied"),  # mu 256, log sigma 256
    )
    model.generator = (
        embedding,
        ("transposed", 4, 1, 512, True, 0.0, "leaky_relu"),
        ("transposed", 7, 2, 256, True, 0.0, "leaky_relu"),
        ("transposed", 5, 2, 256, True, 0.0, "leaky_relu"),
        ("transposed", 7, 2, 128, True, 0.0, "leaky_relu"),
        ("transposed", 2, 1, 64, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 3, False, 0.0, "sigmoid", "untied"),
    )
    model.discriminator_x = (
        ("convolution", 2, 1, 64, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 7, 2, 128, True, 0.2, "leaky_relu"),
        ("convolution", 5, 2, 256, True, 0.2, "leaky_relu"),
        ("convolution", 7, 2, 256, True, 0.2, "leaky_relu"),
        ("convolution", 4, 1, 512, True, 0.2, "leaky_relu"),
    )
    model.discriminator_z = (
        ("convolution", 1, 1, 1024, False, 0.2, "leaky_relu", "none"),
        ("convolution", 1, 1, 1024, False, 0.2, "leaky_relu", "none"),
    )
    model.discriminator_joint = (
        embedding,
        ("convolution", 1, 1, 2048, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 2048, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 1, False, 0.2, "linear", "tied"),
    )
    return config
