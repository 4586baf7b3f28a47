"""A process that starts a training and says when its first step was done, and how much memory it took.

    python -m tests.campaign.one_start run|bare CONFIG WORKDIR STEPS

Prints one line of JSON. "run" trains in WORKDIR; "bare" takes the same steps on the same batches, compiled
alike, and writes nothing: what a run takes beyond that is its overhead. Seconds are of the wall's clock and
of this process's CPU time, from its start.
"""

import json
import resource
import sys
import time
from pathlib import Path


def main(kind: str, config_file: str, workdir: str, steps: int) -> None:
    import jax

    from ali_jax import config as config_lib
    from ali_jax import train  # noqa: F401 - what its import takes is measured here

    found = {"import": clock()}
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "ali_jax"))
    config = config_lib.load(config_file)
    config.num_steps, config.log_every = steps, max(steps // 4, 1)
    config.figures_every = config.checkpoint_every = max(steps // 2, 1)
    (run if kind == "run" else bare)(config, workdir, found)
    peaks = {"peak_bytes": resource.RUSAGE_SELF, "events_peak_bytes": resource.RUSAGE_CHILDREN}
    found |= {name: resource.getrusage(who).ru_maxrss * 1024 for name, who in peaks.items()}
    print(json.dumps(found | {"end": clock()}))


def clock() -> dict[str, float]:
    begun = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    hertz = 100  # of that file
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return {"wall_s": round(uptime - begun / hertz, 2), "cpu_s": round(time.process_time(), 2)}


def run(config, workdir: str, found: dict) -> None:
    import jax

    from ali_jax import train

    class Watch(train.Watch):
        def after(self, step, count, state, metrics, finished):
            if "first_step" not in found:
                jax.block_until_ready(state)
                found["first_step"] = clock()
            super().after(step, count, state, metrics, finished)

    train.Watch = Watch
    train.train_and_evaluate(config, workdir)


def bare(config, workdir: str, found: dict) -> None:
    import jax

    from ali_jax import build, examples, train
    from ali_jax.run import devices

    game, mesh = build.game(config), devices.make_mesh()
    split = examples.fit(examples.load_splits(config)["train"], config)
    batches = examples.open_batches(config, split, examples.labelled_examples(config, split))
    take_steps = train.compiled_steps(game, mesh)
    state = train.fresh_state(config, game, split, devices.replicated(mesh))
    count = config.steps_per_dispatch
    for step in range(0, config.num_steps, count):
        rows = [batches[s] for s in range(step, step + count)]
        state, _ = jax.block_until_ready(take_steps(state, devices.put_batches(rows, mesh)))
        found.setdefault("first_step", clock())


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
