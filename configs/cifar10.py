"""ALI on CIFAR-10: samples and reconstructions (Section 4.1).

    python -m ali_jax.main --config=configs/cifar10.py --workdir=runs/cifar10

The first 45,000 training images, 6,475 epochs. D has maxout layers and no batch normalisation; the paper's
table and its code disagree about it in two places:

* widths: the code's feature maps are counted BEFORE the maximum over pairs (as here), which makes the input
  of D(x, z) 512 wide; the table says 1024, which is right if they are counted after it.
* dropout: the table drops 0.2 of what goes into D(x) and D(z), and 0.5 of every other layer's input (as
  here); the code leaves out two of them and drops the third convolution's output.

    --config=configs/cifar10.py:code      both as in the code
    --config=configs/cifar10.py:paper     both as in the table

Measured: 1,628 steps; `:small`, 10,000 steps, 3 seeds: the class of 50.9 % of test images is kept by their
reconstructions, where a classifier sees it in 73.7 % of the images (experiments/reports/cifar10.md). The full
run: not run.

Ours, not the paper's: `:recipe`, with terms of our own, and `:small`, on small networks too (see `recipes`).
"""

from pathlib import Path

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.models.rows import conv, identity


def get_config(variant: str = "recommended"):
    config = config_lib.default()
    config.dataset = "cifar10"
    config.train_split = "train[:45000]"
    config.validation_split = "train[45000:]"
    config.num_steps = 2_913_750  # 6,475 epochs of batches of 100

    model = config.model
    model.x_shape = (32, 32, 3)
    model.latent_dim = 64
    model.leak = 0.1
    model.init_std = 0.01
    model.posterior = "gaussian"
    # G is SVHN's, and so are E's layers but the last.
    svhn = config_lib.load(Path(__file__).with_name("svhn.py")).model
    model.encoder = (
        *svhn.encoder[:-1],
        conv(128, 1, nonlinearity="linear"),  # mu 64, log sigma 64
    )
    model.generator = svhn.generator
    # conv(feature maps before the maximum over pairs of them, side of the kernel): stride 1 if not said.
    wide = config_lib.reading(variant, recommended=1, code=1, paper=2)
    every_input = (
        conv(32 * wide, 5, dropout=0.2, nonlinearity="maxout2"),
        conv(64 * wide, 4, stride=2, dropout=0.5, nonlinearity="maxout2"),
        conv(128 * wide, 4, dropout=0.5, nonlinearity="maxout2"),
        conv(256 * wide, 4, stride=2, dropout=0.5, nonlinearity="maxout2"),
        conv(512 * wide, 4, dropout=0.5, nonlinearity="maxout2"),
    )
    as_in_code = (
        conv(32, 5, dropout=0.2, nonlinearity="maxout2"),
        conv(64, 4, stride=2, dropout=0.5, nonlinearity="maxout2"),
        conv(128, 4, nonlinearity="linear"),
        identity(128, dropout=0.5, nonlinearity="maxout2"),
        conv(256, 4, stride=2, nonlinearity="maxout2"),
        conv(512, 4, dropout=0.5, nonlinearity="maxout2"),
    )
    model.discriminator_x = config_lib.reading(
        variant, recommended=every_input, code=as_in_code, paper=every_input
    )
    model.discriminator_z = (
        conv(512 * wide, 1, dropout=0.2, nonlinearity="maxout2", bias="none"),
        conv(512 * wide, 1, dropout=0.5, nonlinearity="maxout2", bias="none"),
    )
    model.discriminator_joint = (
        conv(1024 * wide, 1, dropout=0.5, nonlinearity="maxout2"),
        conv(1024 * wide, 1, dropout=0.5, nonlinearity="maxout2"),
        conv(1, 1, dropout=0.5, nonlinearity="linear"),
    )
    readings = ("code", "paper")
    return recipes.vary(config, variant, small_steps=10_000, kind="mirrored", readings=readings)
