import json

import pytest

from ali_jax.errors import UserError
from experiments import scaling
from experiments.common import pod, report

# A GFLOP an example, 20 MB to reduce in 10 all-reduces, 20 MB of parameters, 59.1 TFLOP/s.
WORK = pod.Work(flops=1e9, reduced=20e6, reductions=10, parameters=20e6, rate=0.3 * 197e12)


def test_seconds_are_those_worked_out_by_hand():
    parts = pod.seconds(WORK, batch=1024, chips=16)
    assert parts.network == pytest.approx(1e9 * 64 / 59.1e12)  # 64 examples at 0.3 x 197 TFLOP/s: 1.08 ms
    assert parts.update == pytest.approx(140e6 / 819e9)  # 0.17 ms
    assert parts.bytes == pytest.approx(2 * 15 / 16 * 20e6 / 200e9)  # 0.19 ms
    assert parts.hops == pytest.approx(10 * 4e-6)  # 4 hops across a torus of 4x4
    assert parts.share_of_communication == pytest.approx(0.2275e-3 / (0.2275e-3 + 1.2538e-3), rel=1e-3)


def test_one_chip_says_nothing_to_anyone():
    assert pod.seconds(WORK, batch=100, chips=1).communication == 0


def test_a_batch_scales_until_communication_outweighs_computation():
    chips = pod.largest_slice(WORK, 1024)
    next_larger = pod.SLICES[pod.SLICES.index(chips) + 1]
    here, there = (pod.seconds(WORK, 1024, n) for n in (chips, next_larger))
    assert here.communication <= here.computation and there.communication > there.computation


def test_a_batch_scales_to_an_example_a_chip_at_most():
    free = WORK._replace(reduced=0, reductions=0)
    assert pod.largest_slice(free, 100) == 64
    assert pod.largest_slice(free, 8192) == 256  # a pod


def test_tables_are_made_of_results(tmp_path):
    result = {
        "config": "configs/svhn.py",
        "chips": 8,
        "batch_size": 1024,
        "xla_flops_per_chip": 130e9,
        "layer_flops_per_chip": 128e9,
        "parameter_bytes": 20e6,
        "memory_bytes": {"arguments": 60e6, "temporaries": 100e6, "outputs": 60e6},
        "collectives": {"all-reduce": {"count": 10, "bytes": 20e6}},
        "compile_seconds": 240.4,
    }
    for name, chips in (("svhn_v5e_2x4", 8), ("svhn_v5e_16x16", 256)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(result | {"chips": chips}))
    compiled = scaling.read(tmp_path)
    assert scaling.work_of(compiled["svhn_v5e_2x4"], 0.3) == WORK
    table = scaling.compiled_table(compiled).splitlines()
    assert len(table) == 2 + 2 and "| 130.0 / 128.0 | 60 / 100 / 60 | 10 | 20.0 | none | 240 |" in table[2]
    rows = scaling.on_paper(compiled, 0.3)
    assert [row["batch_size"] for row in rows] == list(scaling.BATCHES)  # once, of the smallest slice
    assert {line.count("|") for line in scaling.paper_table(rows).splitlines()} == {9}


def test_without_results_one_sentence_says_how_to_make_them(tmp_path):
    with pytest.raises(UserError, match=r"run experiments\.tpu_compile"):
        scaling.read(tmp_path)


def test_the_document_shows_the_results():
    text = (report.RESULTS.parent.parent / "docs" / "scaling.md").read_text()
    compiled = scaling.read(report.RESULTS / "tpu_compile")
    rows = json.loads((report.RESULTS / "scaling" / "results.json").read_text())["rows"]
    assert rows == scaling.on_paper(compiled, 0.3)
    for table in (scaling.compiled_table(compiled), scaling.paper_table(rows)):
        assert not set(table.splitlines()) - set(text.splitlines())
