"""That the campaign of faults (`python -m tests.campaign`) tells what survived from what was lost."""

import itertools

import pytest
from campaign import damage, faults, malformed
from campaign.tally import Row, markdown, tally

from ali_jax.data import array_files


def test_what_raises_is_lost_and_said_in_words():
    def fail():
        raise ValueError("gone")

    row = tally("all", [("a kill", lambda: None), ("a flip", fail)], 60)
    assert row == Row("all", 2, ["a flip: ValueError: gone"])
    assert markdown([row]).splitlines()[-1] == "| all | 2 | 1 | 1 |"
    assert tally("none in time", itertools.repeat(("a kill", lambda: None)), 0).tried == 1


@pytest.mark.parametrize("kind", damage.KINDS)
def test_damage_changes_a_file(tmp_path, kind):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(1, 200)))
    kind(path, damage.random.Random(0))
    assert not path.exists() or path.read_bytes() != bytes(range(1, 200))


def test_faults_of_decoded_data_survive_and_a_reader_that_believes_them_is_caught(tmp_path, monkeypatch):
    assert not tally("data", faults.of_data(tmp_path, 0, flips=2), 60).lost
    monkeypatch.setattr(array_files, "_verify", lambda folder, described: None)
    assert tally("data", faults.of_data(tmp_path, 0, flips=20), 60).lost


def test_some_malformed_inputs_survive():
    row = tally("inputs", itertools.islice(malformed.of_inference(0), 40), 60)
    assert row.tried == 40 and not row.lost
