"""A trained run on the classes that were held out of its training."""

import functools

import numpy as np

from ali_jax import examples, inference
from ali_jax.anomaly import scores
from ali_jax.anomaly.evidence import chunks
from ali_jax.data.labels import with_label
from ali_jax.errors import UserError
from ali_jax.run import command_line as program
from experiments.anomaly import figures, study
from experiments.anomaly.judging import judge
from experiments.common import report, trained_runs

MOST = 2000  # held-out images that the scores refer to


def main(values) -> None:
    """Scores the test split: images of config.classes are normal, all others anomalies."""
    run = trained_runs.load(values.workdir, program.data_dir_alone())
    if not run.config.classes or run.config.model.num_attributes:
        raise UserError(
            f"{run.workdir} was trained on all classes, or with attributes; pass --tables, --images, or the "
            "--workdir of a run with --config.classes, such as (0,1)."
        )
    if run.config.model.packing != 1:
        raise UserError(
            f"{run.workdir} holds a D that judges {run.config.model.packing} images at a time; pass the "
            "--workdir of a run with config.model.packing 1."
        )
    if run.config.model.prior != "normal":
        raise UserError(
            f"{run.workdir} has a {run.config.model.prior} prior, and the scores compare codes with a normal "
            "one; pass the --workdir of a run with config.model.prior normal."
        )
    output = report.output(values.output, run.workdir, "anomaly")
    held_out = trained_runs.examples(run.config, run.config.validation_split).x[:MOST]
    test = with_label(examples.load(run.config, "test"))
    anomaly = ~np.isin(test.label, run.config.classes)
    if len({*anomaly.tolist()}) != 2:
        raise UserError(
            f"With config.classes {tuple(run.config.classes)} {anomaly.sum()} of the {len(anomaly)} test "
            "examples are anomalies; there must be both kinds to tell apart."
        )
    reference = scores.reference(chunks(run.model, np.asarray(held_out)))
    found = strangeness(run.model, np.asarray(test.x), reference)
    judged = {name: judge(values, anomaly) for name, values in found.items()}
    print(study.table(judged))
    if test.x.ndim == 4:
        reconstruct = functools.partial(inference.reconstruct, run.model)
        for name, picture in figures.extremes(np.asarray(test.x), reconstruct, found["bound"]).items():
            report.save_image(output, name, picture)
    about = {"steps": run.model.step, "classes": [*run.config.classes], "judged": len(anomaly)}
    about["reference"] = run.config.validation_split  # normal images, perhaps among those that are judged
    print(report.write(output, about | {"anomalies": int(anomaly.sum()), "measures": judged}, run.training))


def strangeness(model: inference.Model, x: np.ndarray, reference: scores.Reference) -> dict[str, np.ndarray]:
    """(N,) by every measure that the model's networks have, and that asks for no rows beside them."""
    twins = model.networks.discriminator.xx_stack is not None
    without = scores.OF_ROWS if twins else (*scores.OF_ROWS, *scores.OF_TWINS)
    names = [name for name in scores.SCORES if name not in without]
    parts = [{name: scores.SCORES[name](e, reference) for name in names} for e in chunks(model, x)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
