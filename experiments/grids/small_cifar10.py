"""What the contrast did in CIFAR-10's small recipe before half of a code was left out of it.

For `--config=configs/cifar10.py:small`. Codes have 64 dimensions, and the game is that of other photographs,
as both were then.
"""

from ali_jax import config as config_lib

REFERENCE = "the recipe"

THEN = config_lib.load(config_lib.CONFIGS / "images.py", "32,mirrored")
GAME = THEN.terms.to_dict()
CODES = {"model.latent_dim": THEN.model.latent_dim}

VARIANTS = {
    "the recipe": CODES | {"terms": GAME},
    "contrast 0.3": CODES | {"terms": GAME | {"contrast": GAME["contrast"] | {"weight": 0.3}}},
    "without the contrast": CODES
    | {"terms": {name: term for name, term in GAME.items() if name != "contrast"}},
}
