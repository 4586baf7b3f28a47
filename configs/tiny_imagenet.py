"""ALI on ImageNet at 64x64, the paper's "Tiny ImageNet": samples, reconstructions (Section 4.1).

    python -m ali_jax.main --config=configs/tiny_imagenet.py --workdir=runs/tiny_imagenet

All 1,281,167 training images of ILSVRC 2012 (not the 200 classes that go by the same name), 125 epochs (the
paper's number; its code says 1,000). `imagenet_resized/64x64` holds them ready made; with
`--config.dataset=imagenet2012` the shorter side is resized to 64 and the centre cropped.

Measured: `:small` (experiments/reports/tiny_imagenet.md). The full run: not run.

Ours, not the paper's: `:recipe`, with terms of our own, and `:small`, on small networks too (see `recipes`).
"""

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.models.rows import conv, transposed


def get_config(variant: str = "recommended"):
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
    # conv(feature maps, side of the kernel): stride 1, no dropout and leaky ReLU where nothing else is said.
    model.encoder = (
        conv(64, 4, stride=2, norm=True),
        conv(64, 4, norm=True),
        conv(128, 4, stride=2, norm=True),
        conv(128, 4, norm=True),
        conv(256, 4, stride=2, norm=True),
        conv(256, 4, norm=True),
        conv(2048, 1, norm=True),
        conv(2048, 1, norm=True),
        conv(512, 1, nonlinearity="linear"),  # mu 256, log sigma 256
    )
    model.generator = (
        conv(2048, 1, norm=True),
        conv(256, 1, norm=True),
        transposed(256, 4, norm=True),
        transposed(128, 4, stride=2, norm=True),
        transposed(128, 4, norm=True),
        transposed(64, 4, stride=2, norm=True),
        transposed(64, 4, norm=True),
        transposed(64, 4, stride=2, norm=True),
        conv(3, 1, nonlinearity="sigmoid", bias="untied"),
    )
    model.discriminator_x = (
        conv(64, 4, stride=2, dropout=0.2),
        conv(64, 4, norm=True, dropout=0.2),
        conv(128, 4, stride=2, norm=True, dropout=0.2),
        conv(128, 4, norm=True, dropout=0.2),
        conv(256, 4, stride=2, norm=True, dropout=0.2),
        conv(256, 4, norm=True, dropout=0.2),
    )
    model.discriminator_z = (
        conv(2048, 1, dropout=0.2),
        conv(2048, 1, dropout=0.2),
    )
    model.discriminator_joint = (
        conv(4096, 1, dropout=0.2),
        conv(4096, 1, dropout=0.2),
        conv(1, 1, dropout=0.2, nonlinearity="linear"),
    )
    return recipes.vary(config, variant, small_steps=4_000, kind="mirrored")
