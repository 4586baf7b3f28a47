"""PyOD's detectors, run by an interpreter that has PyOD and torch, and none of ours.

    python outside.py '{"method": "pyod_alad", "seed": 0}' given.npz made.npy

Each at its defaults, as who uses it without tuning has it.
"""

import json
import random
import sys

import numpy as np


def main(asked, given, made):
    asked = json.loads(asked)
    random.seed(asked["seed"])
    np.random.seed(asked["seed"])
    with np.load(given) as stored:
        fit, judged = stored["fit"], stored["judged"]
    model = METHODS[asked["method"]](fit, asked["seed"])
    model.fit(fit)
    np.save(made, model.decision_function(judged))


def alad(fit, seed):
    import torch
    from pyod.models.alad import ALAD

    torch.manual_seed(seed)
    return ALAD()


def autoencoder(fit, seed):
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(random_state=seed, verbose=0)


def ecod(fit, seed):
    from pyod.models.ecod import ECOD

    return ECOD()


METHODS = {"pyod_alad": alad, "pyod_autoencoder": autoencoder, "pyod_ecod": ecod}

if __name__ == "__main__":
    main(*sys.argv[1:])
