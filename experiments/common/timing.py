"""How fast a config's step runs on this machine, and what it is measured against."""

import resource
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from ali_jax import build, data, examples, train
from ali_jax import config as config_lib
from ali_jax.models import onednn
from ali_jax.run import devices
from experiments.common import contest

WARM_UP = 3  # calls, of one step or of config.steps_per_dispatch


def random_splits(config) -> dict[str, data.Split]:
    """Uniform noise in the shape of the config's images, in place of its training and validation examples."""
    random = np.random.default_rng(0)
    shape = (max(5000, config.batch_size), *config.model.x_shape)
    attributes = random.integers(0, 2, (shape[0], config.model.num_attributes), dtype=np.uint8)
    label = np.arange(shape[0], dtype=np.int32) % config_lib.num_logits(config)
    split = data.Split(random.integers(0, 256, shape, dtype=np.uint8), label, attributes)
    return dict.fromkeys(("train", "validation", "test"), split)


def time_step(config, split: data.Split, calls: int) -> dict:
    """Compile seconds, and the median seconds of a step in so many calls; the batch is on the device already.

    A penalty of every so many steps is a branch here; what it costs the trainer, `terms_cost` times.
    """
    mesh = devices.make_mesh()
    game, split = build.game(config), examples.fit(split, config)
    batches = examples.open_batches(config, split, examples.labelled_examples(config, split))
    state = jax.jit(game.init)(jax.random.key(config.seed), batch=batches[0])
    run_steps = train.compiled_steps(game, mesh)
    count = config.steps_per_dispatch
    placed = devices.put_batches([batches[s] for s in range(count)], mesh)

    start = time.perf_counter()
    with onednn.not_stored():
        compiled = run_steps.lower(state, placed).compile()
    compile_seconds = time.perf_counter() - start
    seconds = []
    for _ in range(WARM_UP + calls):
        start = time.perf_counter()
        state, _ = jax.block_until_ready(compiled(state, placed))
        seconds.append((time.perf_counter() - start) / count)
    median = statistics.median(seconds[WARM_UP:])
    return {
        "compile_seconds": compile_seconds,
        "steps_per_dispatch": count,
        "step_seconds": median,
        "images_per_second": config.batch_size / median,
        "xla_flops_per_step": (compiled.cost_analysis() or {}).get("flops"),
        "program_memory_bytes": program_memory(compiled),
    }


def program_memory(compiled: jax.stages.Compiled) -> int | None:
    """Bytes that a call holds: its arguments, what it makes on the way and what it gives; None: not known.

    Unlike a peak, without the data set and the compiler; what a library takes within the call is not counted.
    """
    memory = compiled.memory_analysis()
    if memory is None:
        return None
    sizes = (getattr(memory, f"{part}_size_in_bytes") for part in ("argument", "temp", "output"))
    return sum(sizes) - memory.alias_size_in_bytes


def matmul_rate(dtype: str) -> float:
    """FLOP/s of a large matrix product in the dtype, at the default precision."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    a = jax.random.normal(jax.random.key(0), (size, size), jnp.dtype(dtype))
    product = jax.jit(jnp.matmul)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        jax.block_until_ready(product(a, a))
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds[2:])


def peak_memory() -> int:
    """Bytes: of the device where it keeps count, else of this process."""
    of_device = jax.local_devices()[0].memory_stats() or {}
    of_process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * contest.KILOBYTES
    return of_device.get("peak_bytes_in_use", of_process)
