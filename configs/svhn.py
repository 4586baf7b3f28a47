"""ALI on SVHN: samples and reconstructions (Section 4.1), features for the SVM (Section 4.3).

    python -m ali_jax.main --config=configs/svhn.py --workdir=runs/svhn

The networks of the paper's SVHN table and the settings of its code: 531,131 images of the "extra" split,
100 epochs. Measured: 6,500 steps on a subset of 4,000 images, 2 cores of a CPU: samples show digits,
reconstructions seldom the digit of their original (experiments/reports/svhn.md). The full run: not run.

Ours, not the paper's: `:recipe`, with terms of our own, and `:small`, on small networks too (see `recipes`).
`:small` measured: 10,000 steps on 7,000 images, 45 minutes on a busy core; reconstructions keep the digit of
three test images in four (experiments/reports/svhn.md).
"""

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.models.rows import conv, transposed


def get_config(variant: str = "recommended"):
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
    # conv(feature maps, side of the kernel): stride 1, no dropout and leaky ReLU where nothing else is said.
    model.encoder = (
        conv(32, 5, norm=True),
        conv(64, 4, stride=2, norm=True),
        conv(128, 4, norm=True),
        conv(256, 4, stride=2, norm=True),
        conv(512, 4, norm=True),
        conv(512, 1, norm=True),
        conv(512, 1, nonlinearity="linear"),  # mu 256, log sigma 256
    )
    model.generator = (
        transposed(256, 4, norm=True),
        transposed(128, 4, stride=2, norm=True),
        transposed(64, 4, norm=True),
        transposed(32, 4, stride=2, norm=True),
        transposed(32, 5, norm=True),
        conv(32, 1, norm=True),
        conv(3, 1, nonlinearity="sigmoid", bias="untied"),
    )
    model.discriminator_x = (
        conv(32, 5, dropout=0.2),
        conv(64, 4, stride=2, norm=True, dropout=0.2),
        conv(128, 4, norm=True, dropout=0.2),
        conv(256, 4, stride=2, norm=True, dropout=0.2),
        conv(512, 4, norm=True, dropout=0.2),
    )
    model.discriminator_z = (
        conv(512, 1, dropout=0.2, bias="none"),
        conv(512, 1, dropout=0.2, bias="none"),
    )
    model.discriminator_joint = (
        conv(1024, 1, dropout=0.2),
        conv(1024, 1, dropout=0.2),
        conv(1, 1, dropout=0.2, nonlinearity="linear"),
    )
    if variant == "small":  # few images may be all there are: SVHN's two training splits together
        config.train_split, config.validation_split = "extra+train[:-1000]", "train[-1000:]"
    return recipes.vary(config, variant, small_steps=10_000, kind="signs")
