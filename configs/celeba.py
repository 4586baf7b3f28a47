"""ALI on CelebA at 64x64: samples, reconstructions, interpolations (Sections 4.1 and 4.2).

    python -m ali_jax.main --config=configs/celeba.py --workdir=runs/celeba

162,770 training images, 123 epochs. The paper's table has batch normalisation on D's first layer and no
dropout on those of D(x); its code, followed here, has a bias and dropout 0.2.

    --config=configs/celeba.py:paper      D(x) as in the table

Measured: 800 steps of 20 images; `:small`, 4,000 steps on 8,000 images, half an hour of one core of a CPU,
3 seeds: whether somebody smiles is kept by reconstructions with a balanced accuracy of 79.2 %
(experiments/reports/celeba.md). The full run: not run.

Ours, not the paper's: `:recipe`, with terms of our own, and `:small`, on small networks too (see `recipes`).
"""

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.models.rows import conv, transposed


def get_config(variant: str = "recommended"):
    config = config_lib.default()
    config.dataset = "celeb_a"
    config.train_split = "train"
    config.validation_split = "validation"
    config.num_steps = 200_207  # 123 epochs of batches of 100

    drop = config_lib.reading(variant, recommended=0.2, code=0.2, paper=0.0)
    first_norm = config_lib.reading(variant, recommended=False, code=False, paper=True)
    model = config.model
    model.x_shape = (64, 64, 3)
    model.latent_dim = 256
    model.leak = 0.02
    model.init_std = 0.01
    model.posterior = "gaussian"
    # conv(feature maps, side of the kernel): stride 1, no dropout and leaky ReLU where nothing else is said.
    model.encoder = (
        conv(64, 2, norm=True),
        conv(128, 7, stride=2, norm=True),
        conv(256, 5, stride=2, norm=True),
        conv(256, 7, stride=2, norm=True),
        conv(512, 4, norm=True),
        conv(512, 1, nonlinearity="linear"),  # mu 256, log sigma 256
    )
    model.generator = (
        transposed(512, 4, norm=True),
        transposed(256, 7, stride=2, norm=True),
        transposed(256, 5, stride=2, norm=True),
        transposed(128, 7, stride=2, norm=True),
        transposed(64, 2, norm=True),
        conv(3, 1, nonlinearity="sigmoid", bias="untied"),
    )
    model.discriminator_x = (
        conv(64, 2, norm=first_norm, dropout=drop),
        conv(128, 7, stride=2, norm=True, dropout=drop),
        conv(256, 5, stride=2, norm=True, dropout=drop),
        conv(256, 7, stride=2, norm=True, dropout=drop),
        conv(512, 4, norm=True, dropout=drop),
    )
    model.discriminator_z = (
        conv(1024, 1, dropout=0.2, bias="none"),
        conv(1024, 1, dropout=0.2, bias="none"),
    )
    model.discriminator_joint = (
        conv(2048, 1, dropout=0.2),
        conv(2048, 1, dropout=0.2),
        conv(1, 1, dropout=0.2, nonlinearity="linear"),
    )
    readings = ("code", "paper")
    return recipes.vary(config, variant, small_steps=4_000, kind="mirrored", readings=readings)
