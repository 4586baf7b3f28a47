"""experiments.anomaly: protocols, counts, who takes part, and the program."""

import functools
import json
import sys

import numpy as np
import pytest
from conftest import flags_of

from ali_jax import data
from ali_jax.errors import UserError
from ali_jax.run import workdirs as kept
from experiments.anomaly import __main__ as program
from experiments.anomaly import figures, judging, methods, of_run, protocols, study
from experiments.anomaly.protocols import Task


@pytest.fixture
def table():
    """(X, anomaly): 60 rows, of which 10 are far off; X says which row it is."""
    x = np.arange(120.0).reshape(60, 2)
    x[50:] += 1000
    return x, np.arange(60) >= 50


@pytest.fixture
def table_file(table, tmp_path):
    x, anomaly = table
    np.savez(tmp_path / "small.npz", X=x, y=anomaly.astype(np.int8))
    return tmp_path / "small.npz"


def test_half_of_the_normal_rows_are_fitted_and_no_anomaly(table):
    task = protocols.half_of_the_normal(*table, seed=0)
    assert len(task.fit) == 25 and len(task.judged) == 35 and task.anomaly.sum() == 10
    both = np.concatenate([task.fit, task.judged])
    np.testing.assert_array_equal(np.sort(both, axis=0), table[0])
    assert task.fit.max() < 1000
    other = protocols.half_of_the_normal(*table, seed=1)
    assert not np.array_equal(np.sort(other.fit, axis=0), np.sort(task.fit, axis=0))


def test_the_contaminated_half_has_anomalies_and_none_twice(table):
    task = protocols.contaminated(*table, seed=0)
    assert len(task.fit) == len(task.judged) == 30
    assert 0 < np.sum(task.fit[:, 0] > 1000) == 10 - task.anomaly.sum()


def test_one_class_of_the_training_images_is_fitted():
    train, test = data.load("digits", "train"), data.load("digits", "test")
    task = protocols.one_class_normal(train, test, 3)
    assert len(task.fit) == np.sum(train.label == 3) and len(task.judged) == len(test.x)
    np.testing.assert_array_equal(task.anomaly, test.label != 3)


def test_counts_by_hand():
    anomaly = np.array([True, True, False, False, False])
    perfect = judging.judge(np.array([5.0, 4, 3, 2, 1]), anomaly)
    assert perfect == {"auroc": 1.0, "auprc": 1.0, "f1": 1.0}
    found = judging.judge(np.array([5.0, 3, 4, 2, 1]), anomaly)
    assert found["auroc"] == pytest.approx(5 / 6) and found["f1"] == 0.5
    # Of ties at the threshold, the expected share counts: one of two places is left for three.
    assert judging.f1_at_the_true_share(np.array([5.0, 3, 3, 3, 1]), anomaly) == pytest.approx(
        (1 + 1 / 3) / 2
    )
    assert judging.f1_at_the_true_share(np.zeros(5), anomaly) == pytest.approx(0.4)


def test_columns_far_from_0_are_scaled_before_they_are_rounded(table):
    task = protocols.half_of_the_normal(*table, seed=0)
    far = task._replace(fit=task.fit + 1.7e9, judged=task.judged + 1.7e9)
    for near, moved in zip(methods.standardised(task), methods.standardised(far), strict=True):
        assert moved.dtype == np.float32
        np.testing.assert_allclose(moved, near, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in methods.METHODS if name != "detector"])
def test_scikit_learns_methods_find_what_is_far_off(name, table):
    random = np.random.default_rng(0)
    task = Task(random.normal(size=(50, 3)), random.normal(size=(20, 3)), np.arange(20) >= 15)
    task.judged[15:] += [4, -4, 4]
    assert judging.judge(methods.METHODS[name](task, 0), task.anomaly)["auroc"] > 0.9


def test_an_opponent_runs_in_its_own_interpreter(table, tmp_path, monkeypatch):
    """A script that stands for outside.py: strangeness is the first column."""
    script = "import sys, numpy; f = numpy.load(sys.argv[2]); numpy.save(sys.argv[3], f['judged'][:, 0])"
    (tmp_path / "outside.py").write_text(script)
    monkeypatch.setattr(methods, "__file__", str(tmp_path / "methods.py"))
    task = protocols.half_of_the_normal(*table, seed=0)
    found = methods.outside(sys.executable, "pyod_ecod", task, 0)
    np.testing.assert_array_equal(found, methods.standardised(task)[1][:, 0])
    (tmp_path / "outside.py").write_text("raise SystemExit('no pyod here')")
    with pytest.raises(UserError, match=r"pyod_ecod ended with status 1 .*no pyod here"):
        methods.outside(sys.executable, "pyod_ecod", task, 0)
    (tmp_path / "outside.py").write_text("")
    with pytest.raises(UserError, match="left no scores"):
        methods.outside(sys.executable, "pyod_ecod", task, 0)
    with pytest.raises(UserError, match="cannot be started"):
        methods.outside("no-such-python", "pyod_ecod", task, 0)


def test_the_program_writes_rows_and_goes_on_where_it_stopped(table_file, tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "detector", lambda task, seed, **settings: task.judged[:, 0])
    monkeypatch.setitem(methods.METHODS, "detector", methods.detector)
    given = {"tables": [str(table_file)], "seeds": 2, "longer": 3, "measures": ["l1"], "contamination": 0.1}
    given |= {"methods": ["detector", "pca"], "output": str(tmp_path / "out")}
    with flags_of(program, **given):
        program.main([])
        results = json.loads((tmp_path / "out" / "results.json").read_text())
        assert (tmp_path / "out" / "roc.png").exists()
        program.main([])
    with (
        flags_of(program, **given, protocol="contaminated"),
        pytest.raises(UserError, match="protocol 'half"),
    ):
        program.main([])
    again = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {*again["curves"]["small"]} == {row["method"] for row in again["rows"]}
    with np.load(table_file) as stored:
        np.savez(table_file, X=stored["X"] + 1, y=stored["y"])
    with flags_of(program, **given), pytest.raises(UserError, match="rows of another small than this one"):
        program.main([])
    assert again["rows"] == results["rows"] and len(results["rows"]) == 2 * 5
    assert {row["method"] for row in results["rows"]} == {
        *("detector", "pca", "detector_l1", "detector_told_0.1", "detector_3_times_the_steps")
    }
    assert results["mean"]["detector"] == pytest.approx({"data_sets": 1, "auroc": 1, "auprc": 1, "f1": 1})
    assert results["by_data"]["small"]["detector"]["seeds"] == 2


def test_what_cannot_be_run_is_named(table_file, tmp_path):
    with flags_of(program, tables=[str(table_file)]), pytest.raises(UserError, match="--output"):
        program.main([])
    with pytest.raises(UserError, match="no method 'magic'"):
        study.players(["magic"], [], 1, None, None)
    with pytest.raises(UserError, match="--opponent_python"):
        study.players(["pyod_alad"], [], 1, None, None)
    assert [*study.players(["pyod_alad", "pca"], [], 1, None, "python")] == ["pyod_alad", "pca"]
    with pytest.raises(UserError, match="no measure 'magic'"):
        study.players([], ["magic"], 1, None, None)
    np.savez(tmp_path / "labels.npz", X=np.zeros((3, 2)), y=np.array([0, 1, 2]))
    with pytest.raises(UserError, match="zeros and ones"):
        protocols.read_table(tmp_path / "labels.npz")
    with pytest.raises(UserError, match="cannot be read as a table"):
        protocols.read_table(tmp_path / "nowhere.npz")
    np.save(tmp_path / "alone.npy", np.zeros(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "labels.npz").read_bytes()[:100])
    for name in ("alone.npy", "cut.npz"):
        with pytest.raises(UserError, match="cannot be read as a table"):
            protocols.read_table(tmp_path / name)
    np.savez(tmp_path / "gap.npz", X=np.array([[np.nan], [1]]), y=np.array([0, 1]))
    with pytest.raises(UserError, match="no finite numbers"):
        protocols.read_table(tmp_path / "gap.npz")
    for asked in ("10", "cats"):
        with pytest.raises(UserError, match=f"--classes={asked} is none of the classes 0, 1"):
            program.chosen([asked], np.arange(2))
    assert program.chosen(["1"], np.arange(2)) == [1] and program.chosen(None, np.arange(2)) == [0, 1]
    for text in ('{"command": "another program"}', '{"rows": []}', "[]", "cut sh"):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(UserError, match="holds no rows of this program"):
            study.Rows(tmp_path, "contaminated")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--tables=a.npz", "--images=mnist"], "--tables and --images have results of their own"),
        (["--tables=a.npz", "--workdir=runs/a"], "--tables and --workdir have results of their own"),
        (["--tables=a.npz", "--config.seed=5"], "Detectors have no config"),
        (["--images=mnist", "--config=configs/svhn.py"], "Detectors have no config"),
        (["--workdir=runs/a", "--seeds=3"], "--seeds is of --tables or --images"),
        (["--tables=a.npz", "--classes=1"], "--classes is of --images, not of --tables"),
        (["--images=mnist", "--protocol=contaminated"], "--protocol is of --tables, not of --images"),
        (
            ["--tables=a.npz", "--methods=pca", "--opponent_python=python"],
            "--opponent_python is of pyod_alad",
        ),
    ],
)
def test_flags_that_would_be_ignored_are_refused(asked, words, in_process):
    with pytest.raises(UserError, match=words):
        in_process(program, *asked)


def test_a_split_that_cannot_be_judged_is_named(tmp_path):
    rows, x = study.Rows(tmp_path, "contaminated"), np.arange(6.0)[:, None]
    for fitted, anomaly in ((x, np.zeros(6, bool)), (x[:0], np.arange(6) > 3)):
        task = protocols.Task(fitted, x, anomaly)
        with pytest.raises(UserError, match=r"small, seed 7: . rows are fitted"):
            study.play(rows, {"never": None}, "small", "digest", 7, lambda task=task: task)
    assert not [*tmp_path.iterdir()]


def test_images_come_from_where_the_command_line_says(tmp_path, in_process, monkeypatch):
    load_digits, asked = data.load, []

    def load(name, split, data_dir):
        asked.append(data_dir)
        return data.take(load_digits("digits", split), slice(40))

    monkeypatch.setattr(program.data, "load", load)
    given = ["--images=cifar10", "--config.data_dir=elsewhere", "--methods=pca", "--seeds=1", "--classes=3"]
    in_process(program, *given, f"--output={tmp_path}")
    assert asked == ["elsewhere"] * 2 and (tmp_path / "results.json").exists()


def test_a_run_scores_the_classes_it_was_not_trained_on(tiny_workdir, tmp_path, monkeypatch, capsys):
    """The run is of all classes; its config is read as if it were of two."""
    with flags_of(program, workdir=str(tiny_workdir)), pytest.raises(UserError, match=r"--config\.classes"):
        program.main([])
    read = kept.read_config

    def of_two_classes(workdir, classes=(0, 1), **fields):
        config = read(workdir)
        config.classes = classes
        config.model.update(fields)
        return config

    monkeypatch.setattr(
        of_run.trained_runs, "read_config", functools.partial(of_two_classes, prior="uniform")
    )
    with flags_of(program, workdir=str(tiny_workdir)), pytest.raises(UserError, match="has a uniform prior"):
        program.main([])
    monkeypatch.setattr(
        of_run.trained_runs, "read_config", functools.partial(of_two_classes, classes=tuple(range(10)))
    )
    with (
        flags_of(program, workdir=str(tiny_workdir)),
        pytest.raises(UserError, match=r" 0 of the 297 test .* both"),
    ):
        program.main([])
    monkeypatch.setattr(of_run.trained_runs, "read_config", of_two_classes)
    with flags_of(program, workdir=str(tiny_workdir), output=str(tmp_path)):
        program.main([])
    results = json.loads((tmp_path / "results.json").read_text())
    label = data.load("digits", "test").label
    assert results["anomalies"] == np.sum(label > 1) and results["judged"] == len(label)
    assert {"bound", "l1", "joint"} <= results["measures"].keys() and "features" not in results["measures"]
    assert all(0 <= found["auroc"] <= 1 for found in results["measures"].values())
    assert (tmp_path / "most_anomalous.png").exists() and "bound" in capsys.readouterr().out


def test_the_strangest_images_come_first():
    x = np.linspace(0, 1, 40)[:, None, None, None] * np.ones((40, 4, 4, 1))
    grids = figures.extremes(x, lambda shown: shown, np.arange(40.0))
    assert grids["most_anomalous"][0, 0, 0] == 255 and grids["least_anomalous"][0, 0, 0] == 0
