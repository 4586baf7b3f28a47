"""What the contrast does in the small recipe of CIFAR-10, for `--config=configs/cifar10.py:small`."""

from ali_jax import config as config_lib

REFERENCE = "the recipe"

GAME = config_lib.load(config_lib.CONFIGS / "cifar10.py", "small").terms.to_dict()
# As when the grid was run, on codes of 64 dimensions.
GAME["contrast"]["share"] = 1.0
GAME["cycle"]["weight"], GAME["recognition"]["weight"] = 3.0, 10.0

VARIANTS = {
    "the recipe": {"terms": GAME},
    "contrast 0.3": {"terms": GAME | {"contrast": GAME["contrast"] | {"weight": 0.3}}},
    "without the contrast": {"terms": {name: term for name, term in GAME.items() if name != "contrast"}},
}
