"""Speed and memory against batch, width and side: experiments/growth.py and its table."""

import json
import types

import pytest
from conftest import flags_of, load_config

from ali_jax.errors import UserError
from experiments import growth
from experiments.common import contest, growth_report

SMALL = {"batches": ["100", "200"], "widths": ["16"], "sides": ["64"], "steps": 3}


def asked(monkeypatch, config, *given, **changes):
    monkeypatch.setattr(growth.sys, "argv", ["growth", *given])
    monkeypatch.setattr(growth.program, "config_name", lambda: "configs/svhn.py:small")
    return [*growth.points(config, types.SimpleNamespace(**SMALL | changes))]


def test_every_point_is_a_benchmark_of_its_own(monkeypatch):
    given = (
        "--config",
        "configs/svhn.py:small",
        "--batches=100,200",
        "--config.dtype=bfloat16",
        "--steps",
        "3",
    )
    found = asked(monkeypatch, load_config("svhn", "small"), *given)
    assert [(p.axis, p.value) for p in found] == [("batch", 100), ("batch", 200), ("width", 16), ("side", 64)]
    shared = ["--config.dtype=bfloat16", "--random_images", "--noloop", "--steps=3"]
    assert found[1].arguments == ["--config=configs/svhn.py:small", "--config.batch_size=200", *shared]
    _, _, width, side = (p.arguments for p in found)
    assert width[0].endswith("/images.py:32,signs,width=16") and side[0].endswith("/images.py:64,signs")
    assert width[1:] == side[1:] == ["--config.batch_size=100", *shared]


def test_widths_and_sides_are_of_the_small_networks(monkeypatch):
    """The point of a side is that of the small recipe and of its kind of images, so that the axes cross."""
    for name, option in (("svhn", ",signs"), ("celeba", ",mirrored"), ("mnist", ",grey,strokes")):
        config = load_config(name, "ours" if name == "mnist" else "small")
        side = config.model.x_shape[0]
        crossing = asked(monkeypatch, config, batches=[], widths=[], sides=[str(side)])[0]
        variant = crossing.arguments[0].partition("images.py:")[2]
        assert variant == f"{side}{option}"
        images = load_config("images", variant)
        assert (images.model, images.terms) == (config.model, config.terms)
    assert load_config("images", "32,width=16").model.discriminator_x[0].features == 16


def test_what_has_no_sides_and_what_is_no_number_are_named(monkeypatch):
    mixture = load_config("mixture")
    assert len(asked(monkeypatch, mixture, widths=[], sides=[])) == 2
    with pytest.raises(UserError, match="mixture holds no images"):
        asked(monkeypatch, mixture)
    with pytest.raises(UserError, match="--sides: '0' is no whole number of at least 1"):
        asked(monkeypatch, mixture, sides=["0"])


def point(axis, value, seconds, flops, memory):
    """As experiments.benchmark prints it."""
    return {
        "axis": axis,
        "value": value,
        "batch_size": 100,
        "images_per_second": 100 / seconds,
        "step_seconds": seconds,
        "traced_flops_per_step": flops,
        "program_memory_bytes": memory,
        "peak_memory_bytes": 2e9,
    }


def test_points_that_are_there_are_not_measured_again_and_failures_are_told(tmp_path, monkeypatch):
    fails = iter([True, False])

    def run(command):
        if "--config.batch_size=200" in command and next(fails):
            raise UserError("ended with status -9")
        runs.append(command)
        return point("batch", 100, 1.0, 1e9, 1e9)

    runs, flags = [], {"workdir": str(tmp_path), "output": str(tmp_path / "out"), "widths": [], "sides": []}
    monkeypatch.setattr(contest, "run", run)
    monkeypatch.setattr(growth.sys, "argv", ["growth"])
    monkeypatch.setattr(growth.program, "config_name", lambda: "configs/svhn.py:small")
    results = []
    for day in ("2026-01-01", "2026-01-02"):
        monkeypatch.setattr(growth.provenance, "of_here", lambda day=day: {"date": day})
        with flags_of(growth, **flags, batches=["100", "200"]):
            growth.flags.FLAGS.config = load_config("svhn", "small")
            growth.main(["growth"])
        results.append(json.loads((tmp_path / "out" / "results.json").read_text())["points"])
    assert len(runs) == 2  # the first of both, and the second once more
    assert "failed" in results[0][1] and "failed" not in results[1][1]
    assert [point["date"] for point in results[1]] == ["2026-01-01", "2026-01-02"]
    assert (tmp_path / "out" / "growth.png").exists()
    other = growth.Point("batch", 100, ["--config=configs/svhn.py"])
    with pytest.raises(UserError, match=r"batch_100\.json was measured by other flags, .*svhn\.py:small"):
        growth.measure(other, tmp_path)
    (tmp_path / "batch_100.json").write_text('{"arg')
    with pytest.raises(UserError, match=r"batch_100\.json cannot be read"):
        growth.read(tmp_path / "batch_100.json")


def test_what_grows_faster_than_its_flops_is_marked_by_how_much():
    points = [
        point("batch", 100, 1.0, 1e9, 1e9),
        point("batch", 200, 2.0, 2e9, 4e9),  # memory grows twice as fast
        point("batch", 400, 6.0, 4e9, 2e9),  # time 1.5 times as fast as from either before
        {"axis": "side", "value": 32, "failed": "ended with status -9"},
    ]
    *_, first, second, third, failed = growth_report.table(points).splitlines()
    assert first.endswith("| 100.0 | 0.010 | 1.0 | 1.00 | 2.00 |  |  |")
    assert second.endswith("| 1.00 | **2.00** |")
    assert third.endswith("| **1.50** | 0.50 |")
    assert failed == "| side | 32 | ended with status -9 |"
    assert (
        growth_report.growth(points[1] | {"program_memory_bytes": None}, points[:1], "program_memory_bytes")
        is None
    )
