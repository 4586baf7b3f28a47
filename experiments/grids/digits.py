"""A first grid, for `experiments.ablation --config=configs/digits.py`: fields that every config has.

A field is named as on the command line, without its "config."; `terms` is the whole game.
"""

from ali_jax.models.rows import dense

REFERENCE = "the paper's game"  # its steps are the budget

VARIANTS = {
    "the paper's game": {},
    "average of parameters": {"average_rate": 0.002},
    "lower rate": {"learning_rate": 3e-4},
    "larger batches": {"batch_size": 200},
    "no dropout": {
        "model.discriminator_x": (dense(256), dense(256)),
        "model.discriminator_z": (dense(256),),
        "model.discriminator_joint": (dense(256), dense(256), dense(1, nonlinearity="linear")),
    },
}
