"""ALI on ImageNet at 64x64, the paper's "Tiny ImageNet": samples, reconstructions (Section 4.1).

    python -m ali_jax.main --config=configs/tiny_imagenet.py --workdir=runs/tiny_imagenet

All 1,281,167 training images of ILSVRC 2012 (not the 200 classes that go by the same name), 125 epochs (the
paper's number; its code says 1,000). `imagenet_resized/64x64` holds them ready made; with
`--config.dataset=imagenet2012` the shorter side is resized to 64 and the centre cropped.

Measured: nothing yet but that it trains, resumes and draws its figures. The full run: not run.
"""

from ali_jax import config as config_lib


def get_config():
    config = config_lib.default()
    config.dataset = "imagenet_resized/64x64"
    config.train_split = "train"
    config.validation_split = "validation"
    config.batch_size = 128
    config.num_steps = 1_251_140  # 125 epochs of batches of 128

    model = config.model
    model.x_shape = (64, 64, 3)
    model.latent_dim = 256
    model.leak = 0.01
    model.init_std = 0.01
    model.posterior = "gaussian"
    # operation, kernel, stride, feature maps, BN?, dropout, nonlinearity, bias
    model.encoder = (
        ("convolution", 4, 2, 64, True, 0.0, "leaky_relu"),
        ("convolution", 4, 1, 64, True, 0.0, "leaky_relu"),
        ("convolution", 4, 2, 128, True, 0.0, "leaky_relu"),
        ("convolution", 4, 1, 128, True, 0.0, "leaky_relu"),
        ("convolution", 4, 2, 256, True, 0.0, "leaky_relu"),
        ("convolution", 4, 1, 256, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 2048, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 2048, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 512, False, 0.0, "linear", "tied"),  # mu 256, log sigma 256
    )
    model.generator = (
        ("convolution", 1, 1, 2048, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 256, True, 0.0, "leaky_relu"),
        ("transposed", 4, 1, 256, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 128, True, 0.0, "leaky_relu"),
        ("transposed", 4, 1, 128, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 64, True, 0.0, "leaky_relu"),
        ("transposed", 4, 1, 64, True, 0.0, "leaky_relu"),
        ("transposed", 4, 2, 64, True, 0.0, "leaky_relu"),
        ("convolution", 1, 1, 3, False, 0.0, "sigmoid", "untied"),
    )
    model.discriminator_x = (
        ("convolution", 4, 2, 64, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 4, 1, 64, True, 0.2, "leaky_relu"),
        ("convolution", 4, 2, 128, True, 0.2, "leaky_relu"),
        ("convolution", 4, 1, 128, True, 0.2, "leaky_relu"),
        ("convolution", 4, 2, 256, True, 0.2, "leaky_relu"),
        ("convolution", 4, 1, 256, True, 0.2, "leaky_relu"),
    )
    model.discriminator_z = (
        ("convolution", 1, 1, 2048, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 2048, False, 0.2, "leaky_relu", "tied"),
    )
    model.discriminator_joint = (
        ("convolution", 1, 1, 4096, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 4096, False, 0.2, "leaky_relu", "tied"),
        ("convolution", 1, 1, 1, False, 0.2, "linear", "tied"),
    )
    return config
