"""What the small recipe's terms do on photographs, for `experiments.ablation --config=configs/svhn.py:small`.

All variants have its networks, rates and average; a field is named as on the command line. For CIFAR-10's
recipe, whose settings are others: grids/small_cifar10.py.
"""

from ali_jax import config as config_lib
from ali_jax.models.rows import conv

REFERENCE = "the recipe"

GAME = config_lib.load(config_lib.CONFIGS / "svhn.py", "small").terms.to_dict()
GAME["contrast"]["share"] = 1.0  # of codes: all of them are compared, as when the grid was run


def without(*names: str) -> dict:
    """The recipe's game but for these terms."""
    return {name: settings for name, settings in GAME.items() if name not in names}


VARIANTS = {
    "the recipe": {"terms": GAME},
    "with a score of x": {
        "terms": GAME | {"unary_x": {}},
        "model.discriminator_x_head": (conv(1, nonlinearity="linear"),),
    },
    "without recognition": {"terms": without("recognition")},
    "without recognition, cycle 10.0": {"terms": without("recognition") | {"cycle": {"weight": 10.0}}},
    "without R1": {"terms": without("r1")},
    "half of codes": {"terms": GAME | {"contrast": GAME["contrast"] | {"share": 0.5}}},
    "contrast 0.3": {"terms": GAME | {"contrast": GAME["contrast"] | {"weight": 0.3}}},
    "without the contrast": {"terms": without("contrast")},
    "the paper's game": {"terms": {"adversarial": {}}},
}
