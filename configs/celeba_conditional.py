"""ALI on CelebA, conditional on its 40 attributes (Section 4.4).

    python -m ali_jax.main --config=configs/celeba_conditional.py --workdir=runs/celeba_conditional

As configs/celeba.py, with batches of 128 and an embedding of the attributes (256 wide) appended to the input
of E's last layer, of G's first and of D(x, z)'s first. The paper says "linearly embedded" of each of the
three networks: each learns its own (ours, a choice). In its code one random embedding is shared by all three
and never trained:

    --config=configs/celeba_conditional.py:code       one that is not trained
    --config=configs/celeba_conditional.py:paper      D(x) as in configs/celeba.py:paper

Measured: `:small` (experiments/reports/celeba.md). The full run: not run.

Ours, not the paper's: `:recipe`, with terms of our own, and `:small`, on small networks too (see `recipes`).
"""

from pathlib import Path

from ali_jax import config as config_lib
from ali_jax import recipes
from ali_jax.models.rows import embed


def get_config(variant: str = "recommended"):
    table_or_code = config_lib.reading(variant, recommended="code", code="code", paper="paper")
    config = config_lib.load(Path(__file__).with_name("celeba.py"), table_or_code)
    config.batch_size = 128
    config.num_steps = 156_411  # 123 epochs of batches of 128

    learned, frozen = embed(256), embed(256, learned=False)
    embedding = config_lib.reading(variant, recommended=learned, code=frozen, paper=learned)
    model = config.model
    model.num_attributes = 40
    model.encoder = (*model.encoder[:-1], embedding, model.encoder[-1])
    model.generator = (embedding, *model.generator)
    model.discriminator_joint = (embedding, *model.discriminator_joint)
    readings = ("code", "paper")
    return recipes.vary(config, variant, small_steps=4_000, kind="mirrored", readings=readings)
