"""What the small recipe's terms do on photographs, for `experiments.ablation --config=configs/svhn.py:small`.

All variants have its networks, rates and average; a field is named as on the command line.
"""

from ali_jax.models.rows import conv

REFERENCE = "the recipe"

CYCLE = {"cycle": {"weight": 3.0}}
CONTRAST = {"contrast": {"temperature": 1.0, "translation": 1 / 8, "zoom": 0.4, "colour": 1.0}}
R1 = {"r1": {"gamma": 0.1}}
RECOGNITION = {"recognition": {"weight": 5.0}}
BASE = {"adversarial": {}} | CYCLE
GAME = BASE | CONTRAST | RECOGNITION | R1

VARIANTS = {
    "the recipe": {"terms": GAME},
    "with a score of x": {
        "terms": GAME | {"unary_x": {}},
        "model.discriminator_x_head": (conv(1, nonlinearity="linear"),),
    },
    "without recognition": {"terms": BASE | CONTRAST | R1},
    "without recognition, cycle 10.0": {"terms": BASE | CONTRAST | R1 | {"cycle": {"weight": 10.0}}},
    "without R1": {"terms": BASE | CONTRAST | RECOGNITION},
    "without the contrast": {"terms": BASE | RECOGNITION | R1},
    "the paper's game": {"terms": {"adversarial": {}}},
}
