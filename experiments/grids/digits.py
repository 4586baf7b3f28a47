"""Terms on digits, for `experiments.ablation --config=configs/digits.py`; one variant changes one thing.

A field is named as on the command line, without its "config."; `terms` is the whole game.
"""

from ali_jax.models.rows import dense

REFERENCE = "the paper's game, averaged"  # its steps are the budget

PAIRS = {"adversarial": {}}
AVERAGED = {"average_rate": 0.002, "decay_after": 0.5, "terms": PAIRS}
CYCLE = PAIRS | {"cycle": {"weight": 0.3}}
TWINS = (dense(256, dropout=0.2), dense(1, nonlinearity="linear"))
HEAD = (dense(1, nonlinearity="linear"),)

VARIANTS = {
    "the paper's game": {"terms": PAIRS, "average_rate": 0.0, "decay_after": 1.0},
    "the paper's game, averaged": AVERAGED,
    # All below are averaged, with a falling rate, too.
    "latent regression": AVERAGED | {"terms": PAIRS | {"latent_regression": {}}},
    "latent regression 0.1": AVERAGED | {"terms": PAIRS | {"latent_regression": {"weight": 0.1}}},
    "cycle 0.03": AVERAGED | {"terms": PAIRS | {"cycle": {"weight": 0.03}}},
    "cycle 0.3": AVERAGED | {"terms": CYCLE},
    "cycle 0.3, not for G": AVERAGED | {"terms": PAIRS | {"cycle": {"weight": 0.3, "generator": False}}},
    "cycle 0.3, latent regression 0.1": AVERAGED | {"terms": CYCLE | {"latent_regression": {"weight": 0.1}}},
    "cycle 0.3, falling noise": AVERAGED
    | {
        "terms": CYCLE,
        "disturbance.noise_x": 0.5,
        "disturbance.noise_z": 0.5,
        "disturbance.noise_until": 0.25,
    },
    "cycle 0.3, r1": AVERAGED | {"terms": CYCLE | {"r1": {"gamma": 0.1, "every": 4}}},
    "cycle 0.3, scores of x and of z": AVERAGED
    | {
        "terms": CYCLE | {"unary_x": {}, "unary_z": {}},
        "model.discriminator_x_head": HEAD,
        "model.discriminator_z_head": HEAD,
    },
    "adversarial cycle": AVERAGED
    | {"terms": PAIRS | {"adversarial_cycle_x": {}}, "model.discriminator_xx": TWINS},
    "relativistic pairs, r1 and r2": AVERAGED
    | {
        "terms": {
            "relativistic": {},
            "r1": {"gamma": 0.1, "every": 4},
            "r2": {"gamma": 0.1, "every": 4},
        }
    },
}
