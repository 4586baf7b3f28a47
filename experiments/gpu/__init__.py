"""What is left for a GPU, in slices that go on where the last one stopped, on a machine without TensorFlow.

    python -m experiments.gpu prepare --workdir=DIR          # where the data sets are
    python -m experiments.gpu run --workdir=DIR --minutes=9  # where the GPU is, as often as it takes
    python -m experiments.gpu status --workdir=DIR

`prepare` puts into DIR the data, decoded, and plan.json: parts in their order, each the command of another
program of this repository. DIR can then be copied to another machine. --share shortens all that is trained,
--opponent, "NAME: COMMAND", is what the benchmarks run beside (see experiments.benchmark), where {model},
{batch} and {dtype} are replaced.

`run` works at the first part that is not done, then at the next, and ends by itself before --minutes are
over: a training is asked to save and stop, and goes on in the next slice. A part that fails is left, and
tried again where --parts names it. What is worth keeping is in DIR/results: a folder of each part (with its
results.json, where it writes one), logs, and state.json, which says what is done; the runs are in DIR/runs.
"""
