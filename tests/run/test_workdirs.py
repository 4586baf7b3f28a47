import json
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import CONFIGS, load_config

from ali_jax import examples, models
from ali_jax.data import Split
from ali_jax.errors import UserError
from ali_jax.run import devices
from ali_jax.run.workdirs import (
    as_config,
    check,
    check_examples,
    check_same_run,
    claim,
    folder,
    locked,
    read_config,
    to_json,
)

NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_config_survives_its_json(name, tmp_path):
    """What a workdir's config.json describes is what was trained."""
    config = load_config(name)
    (tmp_path / "config.json").write_text(to_json(config))
    again = read_config(tmp_path)
    assert to_json(again) == to_json(config)
    assert models.build(again.model, again.dtype) == models.build(config.model, config.dtype)
    check_same_run(config, tmp_path)


def test_of_examples_that_have_moved_it_is_told_how_to_go_on(tmp_path):
    config = load_config("images", "8")
    config.dataset = "images:photos"
    claim(tmp_path, config)
    config.dataset = "images:elsewhere"
    with pytest.raises(UserError, match=r'"images:elsewhere" \(where they have moved, a link by the former'):
        check_same_run(config, tmp_path)


def test_a_difference_is_named_with_both_values(tmp_path):
    config = load_config("svhn")
    (tmp_path / "config.json").write_text(to_json(config))
    config.model.leak = 0.02
    with pytest.raises(UserError, match=r"config\.model\.leak = 0\.01, not 0\.02"):
        check_same_run(config, tmp_path)


def test_the_row_that_differs_is_named(tmp_path):
    config = load_config("svhn")
    (tmp_path / "config.json").write_text(to_json(config))
    *rows, last = config.model.generator
    config.model.generator = (*rows, (*last[:5], 0.5, *last[6:]))
    with pytest.raises(UserError, match=r"config\.model\.generator\[6\] = .*0\.0.*, not .*0\.5"):
        check_same_run(config, tmp_path)


def test_fields_and_rows_of_another_time_are_compared_too(tmp_path):
    config = load_config("svhn")
    fields = json.loads(to_json(config))
    fields["disturbance"]["later"] = None  # as good as absent
    (tmp_path / "config.json").write_text(json.dumps(fields))
    check_same_run(config, tmp_path)
    fields["model"]["generator"][6] += [1, 2]
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"config\.model\.generator\[6\] = .*1, 2\], not"):
        check_same_run(config, tmp_path)


def test_a_longer_run_on_another_disk_is_the_same_run(tmp_path):
    config = load_config("svhn")
    (tmp_path / "config.json").write_text(to_json(config))
    config.num_steps, config.data_dir = 7, "/elsewhere"
    check_same_run(config, tmp_path)


def test_what_a_config_is_made_of_stays_as_it_is():
    fields = {"seed": 3, "terms": {"adversarial": {}, "cycle": {"weight": 2.0}}}
    assert as_config(fields).terms.cycle.weight == 2.0
    assert [*fields] == ["seed", "terms"]


def test_a_workdir_older_than_a_field_has_its_default(tmp_path):
    config = load_config("svhn")
    older = config.copy_and_resolve_references()
    del older.model.prior
    (tmp_path / "config.json").write_text(to_json(older))
    assert read_config(tmp_path).model.prior == "normal"
    check_same_run(config, tmp_path)


@pytest.mark.parametrize("text", ['{"seed": ', "[]", '{"batch_size": "ten"}'])
def test_a_damaged_config_json_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        read_config(tmp_path)


def test_another_dtype_is_another_run(tmp_path):
    """It changes what every step computes."""
    config = load_config("svhn")
    (tmp_path / "config.json").write_text(to_json(config))
    config.dtype = "bfloat16"
    with pytest.raises(UserError, match=r"config\.dtype"):
        check_same_run(config, tmp_path)


def test_a_run_goes_on_with_the_examples_it_was_begun_on(tmp_path, tiny_config, caplog):
    x = np.arange(3000 * 4, dtype=np.float32).reshape(3000, 4)

    def fingerprint(x):
        return examples.fingerprint(Split(x, None, None))

    check_examples(fingerprint(x), tmp_path)  # of a run of before it was kept
    claim(tmp_path, tiny_config, known=fingerprint(x))
    check_examples(fingerprint(x.copy()), tmp_path)
    assert not caplog.records
    with pytest.raises(UserError, match="begun on 3,000 training examples, and its data set now gives 2,999"):
        check_examples(fingerprint(x[1:]), tmp_path)
    check_examples(fingerprint(x + 1), tmp_path)
    assert "not quite these" in caplog.text
    for damaged in ("", "[3000]", '{"count": 2999}'):
        (tmp_path / "examples.json").write_text(damaged)
        check_examples(fingerprint(x), tmp_path)


def test_a_run_goes_on_with_the_labels_and_attributes_it_was_begun_on(tmp_path, tiny_config, caplog):
    random, rows = np.random.default_rng(0), np.arange(0, 60, 3)
    label = random.integers(0, 3, 60).astype(np.int32)
    split = Split(random.random((60, 4)), label, random.integers(0, 2, (60, 5)).astype(np.uint8))
    claim(tmp_path, tiny_config, known=examples.fingerprint(split, rows))
    unseen = np.where(np.isin(np.arange(60), rows), label, 9)  # training sees none of those
    check_examples(examples.fingerprint(split._replace(label=unseen), rows), tmp_path)
    for field, other in (("label", (label + 1) % 3), ("attributes", 1 - split.attributes)):
        changed = examples.fingerprint(split._replace(**{field: other}), rows)
        with pytest.raises(UserError, match=f"begun with other {field.rstrip('s')}s of its training"):
            check_examples(changed, tmp_path)
    check_examples(examples.fingerprint(split._replace(attributes=split.attributes > 0), rows), tmp_path)
    (tmp_path / "examples.json").write_text(json.dumps(examples.fingerprint(split._replace(attributes=None))))
    check_examples(examples.fingerprint(split, rows), tmp_path)  # of a run of before these were kept
    assert not caplog.records


def test_another_term_or_setting_is_another_run(tmp_path):
    config = load_config("digits", "paper")
    (tmp_path / "config.json").write_text(to_json(config))
    config.terms = {"adversarial": {"d": 0.5}}
    with pytest.raises(UserError, match=r"config\.terms\.adversarial"):
        check_same_run(config, tmp_path)


@pytest.mark.parametrize("name", ["checkpoints", "figures", "unreadable_checkpoints"])
def test_a_file_where_a_folder_belongs_is_named(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"{tmp_path / name} is a file"):
        check(load_config("digits"), tmp_path)
    with pytest.raises(UserError, match=f"The workdir {tmp_path / name} is a file"):
        check(load_config("digits"), tmp_path / name)


def test_a_folder_where_a_file_belongs_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match=r"metrics\.jsonl is a folder"):
        check(load_config("digits"), tmp_path)


def test_checkpoints_of_an_unknown_run_are_not_gone_on_from(tmp_path):
    """Another seed, or another learning rate, would go on under this one's name."""
    check(load_config("digits"), tmp_path)
    (tmp_path / "checkpoints" / "4").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds checkpoints, but no config\.json"):
        check(load_config("digits"), tmp_path)


@pytest.mark.parametrize("text", ["{x", "", "5", '["a"]', '{"a": 1}', "\udcff"])
def test_damaged_numbers_of_labelled_examples_are_written_anew(tmp_path, caplog, text):
    """They follow from the config and the data."""
    path, labelled = tmp_path / "labelled_examples.json", np.arange(3)
    path.write_text(text, errors="surrogateescape")
    claim(tmp_path, load_config("digits"), labelled)
    assert json.loads(path.read_text()) == [0, 1, 2]
    assert "labelled_examples.json is damaged" in caplog.text


def test_a_workdir_has_one_run_at_a_time(tmp_path):
    with locked(tmp_path / "run"), pytest.raises(UserError, match="Another run is at work"):
        locked(tmp_path / "run").__enter__()
    with locked(tmp_path / "run"):
        pass


def test_the_first_of_several_processes_holds_the_lock_for_all(tmp_path, monkeypatch):
    with locked(tmp_path):
        monkeypatch.setattr(jax, "process_index", lambda: 1)
        with locked(tmp_path):
            monkeypatch.setattr(devices, "any_process", lambda condition: True)
            with pytest.raises(UserError, match="by process 0"):
                locked(tmp_path).__enter__()


def test_a_workdir_is_a_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert folder("~/runs/svhn") == Path("/home/someone/runs/svhn")
    for bucket in ("gs://bucket/run", Path("gs://bucket/run"), "s3://bucket"):
        with pytest.raises(UserError, match="not on this machine; mount"):
            folder(bucket)


def test_a_workdir_that_process_0_cannot_write_stops_all(tmp_path, monkeypatch):
    """As the second of two processes sees it; the first one says it, too."""
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(devices, "any_process", lambda condition: True)
    with pytest.raises(UserError, match=r"cannot be written \(by process 0"):
        claim(tmp_path / "run", load_config("digits"))
    assert not (tmp_path / "run").exists()


def test_rows_of_the_command_line_may_lack_their_last_values(tmp_path):
    config = load_config("mnist_bigan")
    (tmp_path / "config.json").write_text(to_json(config))
    config.model.generator = tuple(tuple(row)[:8] for row in config.model.generator)
    config.model.discriminator_x_head = None
    check_same_run(config, tmp_path)
