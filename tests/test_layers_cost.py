"""Where a step's time goes, layer by layer: experiments/layers."""

import json
import sys

import jax
import numpy as np
import pytest
from conftest import load_config, narrow
from helpers import make_conditional_config

from ali_jax.errors import UserError
from ali_jax.models.layers import Layer
from ali_jax.models.rows import dense
from experiments.common import flops
from experiments.layers import __main__ as program
from experiments.layers import clock, of_step, ours, summary

FAKE = """
import json, sys
asked = json.load(sys.stdin)
assert asked["threads"] > 0 and asked["dtype"] == "float32"
slow, fast = {"forward": 1.0, "step": 4.0}, {"forward": 2.0, "step": 3.0}
known = lambda layer: layer["row"]["operation"] == "dense" and layer["row"]["nonlinearity"] != "maxout2"
layers = [{"contiguous": slow, "channels_last": fast} if known(layer) else None for layer in asked["layers"]]
print(json.dumps({"torch": "0.0", "layers": layers}))
"""


@pytest.fixture
def opponent(tmp_path, monkeypatch):
    """write(script): a script that stands for outside.py, whose interpreter has no torch to offer."""

    def write(script):
        (tmp_path / "outside.py").write_text(script)

    monkeypatch.setattr(program, "OUTSIDE", tmp_path / "outside.py")
    monkeypatch.setattr(clock, "LEAST_CALLS", 1)
    monkeypatch.setattr(clock, "LEAST_SECONDS", 0)
    write(FAKE)
    return write


@pytest.fixture(scope="module")
def of_svhn():
    """(config, its layers): SVHN's with few feature maps, for six images."""
    config = narrow("svhn")
    config.batch_size = 6
    return config, of_step.layers(config)


def test_layers_are_seen_as_the_step_calls_them(of_svhn):
    seen = {each.name: each for each in of_svhn[1]}
    names = [*seen]
    assert names[0] == "E 1: conv 4, 5x5, stride 1" and names[7] == "G 1: transposed conv 32, 4x4, stride 1"
    assert names[-1] == "D_joint 3: conv 1, 1x1, stride 1" and len(names) == 24
    third, of_pairs = seen["E 3: conv 16, 4x4, stride 1"], seen["D_x 3: conv 16, 4x4, stride 1"]
    assert third.inputs[0].shape == (6, 13, 13, 8) and of_pairs.inputs[0].shape == (12, 13, 13, 8)
    multiply_adds = 6 * 10 * 10 * 16 * 4 * 4 * 8
    # Forward, by the kernel and by the input; D twice by the input, and on twice as many images.
    assert third.flops == 2 * 3 * multiply_adds and of_pairs.flops == 2 * 4 * 2 * multiply_adds


def test_layers_hold_what_a_step_needs_but_for_gradients_by_data(of_svhn):
    # Its D_x and D_z have no rows: D_joint sees the data; and what D's own loss leaves there, G learns from.
    gan = load_config("mixture", "gan")
    for (config, seen), first in (
        (of_svhn, {"E", "G", "D_x", "D_z"}),
        ((gan, of_step.layers(gan)), {"G"}),
    ):
        of_data = [each for each in seen if each.of_data]
        assert {each.name.partition(" ")[0] for each in of_data} == first
        # What `of_step` counts for the first layers too: of 3 or 4 maps, the one that nobody wants.
        saved = sum(each.flops / (1 + each.players) for each in of_data)
        assert sum(each.flops for each in seen) + saved == pytest.approx(flops.of_step(config))


def test_a_layer_is_timed_with_the_gradients_that_a_step_takes(tiny_config):
    by_name = {each.name: each for each in of_step.layers(tiny_config)}
    for name, by_input in (
        ("E 1: dense 12", 0),
        ("E 2: dense 6", 1),
        ("D_x 1: dense 12", 1),
        ("D_joint 1: dense 1", 2),
    ):
        seen = by_name[name]
        arguments = ours.random_arguments(seen)
        out, updated, by_params, by_h = jax.eval_shape(ours.programs(seen)["step"], *arguments)
        assert (out, updated) == jax.eval_shape(ours.programs(seen)["forward"], *arguments)
        assert bool(updated["batch_stats"]) == seen.layer.row.norm
        assert [one.shape for one in by_h] == [seen.inputs[0].shape] * by_input
        assert jax.tree.map(np.shape, by_params) == jax.tree.map(np.shape, arguments[0])


def test_gradients_are_those_of_the_packages_own_layer(tiny_config):
    seen = next(each for each in of_step.layers(tiny_config) if each.name == "E 2: dense 6")
    assert isinstance(seen.layer, Layer)
    params, stats, inputs, key, (cotangent,) = ours.random_arguments(seen)
    out, _, by_params, (by_h,) = ours.programs(seen)["step"](params, stats, inputs, key, [cotangent])
    h = inputs[0].reshape(len(cotangent), -1)
    np.testing.assert_allclose(out, h @ params["kernel"] + params["bias"][None], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_h, cotangent @ params["kernel"].T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_params["kernel"], h.T @ cotangent, rtol=1e-4, atol=1e-5)


def test_layers_that_append_and_those_of_heads_are_seen_too(tiny_config):
    conditional = make_conditional_config(4, 4, 1)
    conditional.batch_size = 3
    seen = {each.name: each for each in of_step.layers(conditional)}
    embed = next(each for name, each in seen.items() if name.startswith("G 1: embed"))
    assert embed.inputs[1].shape == (3, 40)
    assert len(ours.Timed(embed, {})()) == 2
    tiny_config.model.update({"discriminator_x_head": (dense(1, nonlinearity="linear"),)})
    heads = [each for each in of_step.layers(tiny_config) if each.name == "D_x head 1: dense 1"]
    assert [(each.of_data, each.players) for each in heads] == [(False, 2)]


def test_the_program_compares_every_layer_with_its_counterpart(
    opponent, tmp_path, in_process, monkeypatch, capsys
):
    monkeypatch.setattr(program.timing, "matmul_rate", lambda dtype: 7e9)
    monkeypatch.setattr(program.timing, "time_step", lambda *_: {"step_seconds": 8.0})
    given = ("--config=tests/tiny.py:noise", f"--opponent_python={sys.executable}", "--rounds=2")
    in_process(program, *given, f"--output={tmp_path / 'out'}")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    layers, totals = ({each["name"]: each for each in results[part]} for part in ("layers", "totals"))
    assert results["torch"] == "0.0" and results["step_seconds"] == 8 and results["batch_size"] == 16
    first = layers["E 1: dense 12"]
    assert first["best"] == "channels_last"
    assert first["ratio"]["min"] <= 3 / first["ours"]["step"] <= first["ratio"]["max"]
    assert "theirs" not in layers["D_z 1: dense 12"]  # a maxout, which this opponent does not have
    assert [*totals] == ["E", "G", "D", "all"]
    assert totals["all"]["theirs"]["step"] == 3 * totals["all"]["compared_layers"] == 18
    assert "| a large matrix product |  |  |  | 7.0 |" in capsys.readouterr().out


def test_medians_and_ratios_are_over_rounds():
    seen = of_step.Seen("E", "E 1", None, (), 1, True, 4e9)
    mine = [{"forward": 1.0, "step": step} for step in (2.0, 4.0, 3.0)]
    theirs = [{"contiguous": {"forward": 1.0, "step": step}} for step in (4.0, 4.0, 9.0)]
    entry = summary.of_layer(seen, mine, theirs)
    assert entry["ours"] == {"forward": 1.0, "step": 3.0}
    assert entry["ratio"] == {"median": 2.0, "min": 1.0, "max": 3.0}
    alone = summary.of_layer(seen._replace(network="G", name="G 1"), mine, [None] * 3)
    total = summary.totals([entry, alone])[-1]
    assert total["ours"]["step"] == 6.0 and total["ratio"] == 4 / 3 and total["compared_layers"] == 1
    results = {"layers": [entry, alone], "totals": summary.totals([entry, alone])}
    results |= {"step_seconds": 8.0, "matmul_flops_per_second": 2e9}
    lines = summary.table(results).splitlines()
    assert (
        lines[2] == "| E 1 | 4.00 | 1,000.00 | 3,000.00 | 1.3 | 1,000.00 | 4,000.00 | 2.00 (1.00 to 3.00) |"
    )
    assert lines[3] == "| G 1 | 4.00 | 1,000.00 | 3,000.00 | 1.3 |  |  |  |"
    assert "| **all** | **8.00** | **2,000.00** | **6,000.00** | **1.3** |" in lines[6]
    alone = {**results, "layers": [alone], "totals": []}
    assert summary.table(alone).splitlines()[0].endswith("| GFLOP/s |")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise ModuleNotFoundError(\"No module named 'torch'\")", "PyTorch ended .*No module named 'torch'"),
        ("print('fast')", "printed something else than its result"),
        ("print('{\"layers\": []}')", "printed something else than its result"),
        ("print('[7.5]')", "printed something else than its result"),
    ],
)
def test_an_opponent_that_does_not_serve_is_named(opponent, tiny_config, script, words):
    opponent(script)
    with pytest.raises(UserError, match=words):
        program.theirs(sys.executable, "float32", of_step.layers(tiny_config))
    with pytest.raises(UserError, match="no-such-python cannot be started"):
        program.theirs("no-such-python", "float32", [])


def test_what_has_no_counterpart_is_not_asked_for(opponent, tiny_config, monkeypatch):
    tiny_config.model.update({"spectral_norm": ("discriminator_x",)})
    seen = of_step.layers(tiny_config)
    found = program.theirs(sys.executable, "float32", seen)["layers"]
    normalised = [each.layer.spectral_norm for each in seen]
    assert sum(normalised) == 1 and found[normalised.index(True)] is None and found[0] is not None
    monkeypatch.setattr(program.jax, "default_backend", lambda: "gpu")
    with pytest.raises(UserError, match="timed on a CPU"):
        program.theirs(sys.executable, "float32", seen)
