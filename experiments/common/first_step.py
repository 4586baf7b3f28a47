"""A training as a user starts it, which ends with its first step and says when that was done.

    python -m experiments.common.first_step --config=configs/digits.py --workdir=DIR

Takes the flags of ali_jax.main. Prints one line of JSON, two times in seconds since the epoch: when all was
imported, and when the first call of the device had given its steps (config.steps_per_dispatch of them).
"""

import json
import time


def main() -> None:
    import jax

    from ali_jax import main as program
    from ali_jax import train
    from ali_jax.run import command_line

    imported = time.time()

    class Watch(train.Watch):
        """Of the first call of the device, after which the process ends."""

        def after(self, step, count, state, metrics, finished):
            jax.block_until_ready((state, metrics))
            print(json.dumps({"imported": imported, "first_step": time.time()}), flush=True)
            raise SystemExit

    train.Watch = Watch
    command_line.run(program.main, program.define_flags)


if __name__ == "__main__":
    main()
