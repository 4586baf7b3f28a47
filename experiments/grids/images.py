"""Terms on images, for `experiments.ablation --config=configs/svhn.py:small` and its like.

A field is named as on the command line, without its "config."; `terms` is the whole game. All variants are
averaged, with a rate that falls over the second half, and none but the last two has noise.
"""

REFERENCE = "the paper's game"  # its steps are the budget

PAIRS = {"adversarial": {}}
CYCLE = PAIRS | {"cycle": {"weight": 0.3}}
NOISE = {"disturbance.noise_x": 0.5, "disturbance.noise_z": 0.5, "disturbance.noise_until": 0.25}
QUIET = {"disturbance.noise_x": 0.0, "disturbance.noise_z": 0.0}

VARIANTS = {
    "the paper's game": QUIET | {"terms": PAIRS},
    "cycle, r1": QUIET | {"terms": CYCLE | {"r1": {"gamma": 0.1}}},
    "cycle, r1, falling noise": NOISE | {"terms": CYCLE | {"r1": {"gamma": 0.1}}},
    "cycle, latent regression, falling noise": NOISE
    | {"terms": CYCLE | {"latent_regression": {"weight": 0.3}}},
}
