"""How much a cycle in x gives reconstructions, and costs samples, by its weight: ALICE's trade-off.

For `experiments.ablation --config=configs/mnist.py` and other configs of small networks, whose rates and
average all variants have; the game is the paper's and the cycle, nothing else.
"""

REFERENCE = "no cycle"


def game(weight: float) -> dict:
    """The paper's game with a cycle of this weight."""
    return {"terms": {"adversarial": {}, "cycle": {"weight": weight}}, "model.discriminator_x_head": None}


VARIANTS = {
    "no cycle": {"terms": {"adversarial": {}}, "model.discriminator_x_head": None},
    **{f"cycle {weight:g}": game(weight) for weight in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)},
}
