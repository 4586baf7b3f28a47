"""What a contrast does on digits, for `experiments.ablation --config=configs/digits.py`.

All variants have the config's cycle (3.0) and R1; a field is named as on the command line.
"""

from ali_jax.models.rows import dense

REFERENCE = "no contrast"

GAME = {"adversarial": {}, "cycle": {"weight": 3.0}, "r1": {"gamma": 0.1, "every": 4}}
HEAD = (dense(1, nonlinearity="linear"),)
X = {"model.discriminator_x_head": HEAD}
Z = {"model.discriminator_z_head": HEAD}


def noisy(noise: float) -> dict:
    """The game with a contrast between an image and a noisy copy."""
    return GAME | {"contrast": {"temperature": 0.25, "noise": noise, "translation": 0.0}}


VARIANTS = {
    "no contrast": {"terms": GAME},
    "moved by a pixel": {"terms": GAME | {"contrast": {"temperature": 0.25, "translation": 1 / 8}}},
    "noise 0.2": {"terms": noisy(0.2)},
    "noise 0.6": {"terms": noisy(0.6)},
    "noise 0.6, score of z": {"terms": noisy(0.6) | {"unary_z": {}}} | Z,
    "noise 0.6, score of x": {"terms": noisy(0.6) | {"unary_x": {}}} | X,
    "noise 0.6, scores of x and of z": {"terms": noisy(0.6) | {"unary_x": {}, "unary_z": {}}} | X | Z,
}
