"""Run by test_devices.py: trains on 8 host devices, and keeps what the model says before it is saved.

PYTHONPATH=.:tests python tests/run/eight_devices_checkpoint.py WORKDIR
"""

import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np
from conftest import make_tiny_config

from ali_jax import build, data, inference, train
from ali_jax.run import devices


def main(workdir):
    config = make_tiny_config()
    state = train.train_and_evaluate(config, workdir)
    assert len(state.params.generator["stack"]["layer_1"]["kernel"].devices()) == 8
    trained = devices.local_copy((state.params, state.batch_stats))
    model = inference.Model(build.game(config).networks, *trained)
    codes = inference.encode(model, data.load("digits", "test").x[:5])
    samples = inference.sample(model, jax.random.key(0), 5)
    np.savez(workdir / "said.npz", codes=codes, samples=samples)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
