"""The training step compiled for a TPU slice that is not there: its FLOPs, memory and communication.

    pip install ".[tpu]"
    python -m experiments.tpu_compile --config=configs/svhn.py --topology=v5e:2x4 --batch_size=1024

Compiles ahead of time with libtpu, on a machine without a TPU (minutes; nothing is resumed), what
`ali_jax.train` runs, and counts in the result. Prints the counts, and writes them to --output/results.json
where that is given. Nothing is timed but the compilation.
"""

import importlib.metadata
import json
import os
import time

import jax
import numpy as np
from absl import flags
from jax.experimental import topologies
from jax.sharding import Mesh

from ali_jax import build, train
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from ali_jax.run import devices
from experiments.common import collectives, flops, report, shared_flags


def define_flags() -> None:
    shared_flags.output()
    flags.DEFINE_string("topology", "v5e:2x4", "Generation and shape of the slice.")
    flags.DEFINE_integer(
        "batch_size", 1024, "Global batch size, in place of the config's (100 for the paper's)."
    )


def main(argv):
    program.refuse_words(argv)
    values = flags.FLAGS
    config, output = values.config, report.asked_output(values.output)
    # Only a compiler is wanted: without this JAX looks for TPUs, and later finds its own old results.
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_compilation_cache", False)
    config_lib.check(config)
    config.labelled_batch_size = config.labelled_batch_size * values.batch_size // config.batch_size
    config.batch_size = values.batch_size
    config_lib.check(config)
    mesh = slice_mesh(values.topology)
    devices.check_batch_size(config.batch_size, mesh, config.model.packing)
    results = measure(config, mesh) | {"topology": values.topology}
    print(json.dumps(results, indent=2), flush=True)
    if output:
        report.write(output, {"config": os.path.relpath(program.config_name())} | results)


def slice_mesh(topology: str) -> Mesh:
    """A mesh over the chips of a slice such as "v5e:2x4", described by libtpu.

    Raises:
      UserError: libtpu is not installed, or knows no such slice.
    """
    try:
        importlib.metadata.version("libtpu")
    except importlib.metadata.PackageNotFoundError:
        raise UserError("libtpu, the compiler for TPUs, is not installed; pip install 'jax[tpu]'.") from None
    # Read when libtpu is loaded: there is no TPU to ask for its metadata, nor one to lock.
    os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
    try:
        description = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    except RuntimeError as error:
        raise UserError(
            f"libtpu describes no slice {topology!r} ({program.last_line(error)}); write one such as v5e:2x4."
        ) from None
    return Mesh(np.asarray(description.devices), ("data",))


def measure(config, mesh: Mesh) -> dict:
    """Compiles the step; everything is per chip unless its name says otherwise."""
    start = time.perf_counter()
    game = build.game(config)
    compiled = trace(config, game, mesh).lower().compile()
    seconds = time.perf_counter() - start
    params = game.shapes.params
    memory = compiled.memory_analysis()
    parts = {"arguments": "argument", "temporaries": "temp", "outputs": "output", "donated": "alias"}
    return {
        "chips": mesh.size,
        "batch_size": config.batch_size,
        "dtype": config.dtype,
        "libtpu": importlib.metadata.version("libtpu"),
        "jax": jax.__version__,
        "compile_seconds": seconds,
        "xla_flops_per_chip": compiled.cost_analysis()["flops"],
        "layer_flops_per_chip": flops.of_step(config) / mesh.size,
        "parameter_bytes": 4 * sum(leaf.size for leaf in jax.tree.leaves(params)),
        "memory_bytes": {name: getattr(memory, f"{part}_size_in_bytes") for name, part in parts.items()},
        "collectives": collectives.count(compiled.as_text()),
    }


def trace(config, game: build.Game, mesh: Mesh) -> jax.stages.Traced:
    """The trainer's step, of one batch, for shapes in place of arrays: no device holds anything."""
    config = config.copy_and_resolve_references()
    config.steps_per_dispatch = 1
    example = dict(game.example)
    if len(config.model.x_shape) == 3:
        example["x"] = example["x"].update(dtype=np.uint8)  # images travel so; see `data`
    return train.trace(train.compiled_steps(game, mesh), config, game, example, mesh)


if __name__ == "__main__":
    program.run(main, define_flags)
