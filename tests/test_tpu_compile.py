import importlib.metadata
import importlib.util
import re

import jax
import numpy as np
import pytest
from conftest import narrow

from ali_jax import build
from ali_jax.errors import UserError
from ali_jax.run import devices
from experiments import tpu_compile
from experiments.common import collectives


def test_collectives_are_counted_by_kind_with_their_bytes():
    text = """
      %all-reduce.1 = f32[4,256]{1,0:T(8,128)S(1)} all-reduce(%p.1), channel_id=3, to_apply=%add
      ROOT %all-reduce.2 = (f32[3]{0}, bf16[5,2]{1,0}, /*index=2*/pred[]) all-reduce(%a, %b, %c)
      %gte = f32[3]{0} get-tuple-element(%all-reduce.2), index=0, metadata={op_name="a/all-reduce(x)"}
      all-to-all.3 = u8[16]{0} all-to-all(p.2), dimensions={0}
      %fusion.4 = f32[9]{0} fusion(%all-reduce.1), kind=kLoop, calls=%fused_all-gather
    """
    assert collectives.count(text) == {
        "all-reduce": {"count": 2, "bytes": 4 * 4 * 256 + (4 * 3 + 2 * 10 + 1)},
        "all-to-all": {"count": 1, "bytes": 16},
    }


def test_a_started_and_a_finished_collective_are_one():
    text = """
      %ag = (f32[2]{0}, f32[16]{0}) all-gather-start(f32[2]{0} %p), dimensions={0}
      %ar = f32[7]{0} all-reduce-start(%q), to_apply=%add
      %cp = (f32[2]{0}, f32[2]{0}, u32[], u32[]) collective-permute-start(%r), source_target_pairs={{0,1}}
      %ag-done = f32[16]{0} all-gather-done(%ag)
      %ar-done = f32[7]{0} all-reduce-done(%ar)
      %cp-done = f32[2]{0} collective-permute-done(%cp)
    """
    assert collectives.count(text) == {
        "all-gather": {"count": 1, "bytes": 64},
        "all-reduce": {"count": 1, "bytes": 28},
        "collective-permute": {"count": 1, "bytes": 8},
    }


def test_a_program_without_collectives_has_none():
    assert collectives.count(jax.jit(lambda x: x + 1).lower(np.ones(3)).compile().as_text()) == {}


def test_the_forms_for_the_cpu_are_not_lowered_for_the_tpu():
    """Convolutions through Eigen dilate the rows of their input and not its columns; nothing else does."""
    config = narrow("svhn")
    config.batch_size = 4
    traced = tpu_compile.trace(config, build.game(config), devices.make_mesh(jax.devices()[:1]))
    forms = {}
    for platform in ("cpu", "tpu"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        dilations = {tuple(d) for d in re.findall(r"lhs_dilate = \[(\d), (\d)\]", text)}
        forms[platform] = (dilations, "optimization_barrier" in text)
    assert ("2", "1") in forms["cpu"][0] and forms["cpu"][1]
    assert forms["tpu"] == ({("1", "1"), ("2", "2")}, False)


def test_without_libtpu_one_sentence_says_what_to_install(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(UserError, match=r"libtpu.* not installed; pip install 'jax\[tpu\]'"):
        tpu_compile.slice_mesh("v5e:2x4")


def test_an_unknown_slice_is_named(monkeypatch):
    def unknown(platform, topology_name):
        raise RuntimeError("INVALID_ARGUMENT: Invalid TPU external name")

    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0")
    monkeypatch.setattr(tpu_compile.topologies, "get_topology_desc", unknown)
    with pytest.raises(UserError, match=r"no slice 'v9:2x2' \(INVALID_ARGUMENT.*\); write one such as"):
        tpu_compile.slice_mesh("v9:2x2")


@pytest.mark.parametrize("flag", ["--config.batch_size=0", "--batch_size=0"])
def test_a_batch_of_nothing_is_refused_before_a_slice_is_asked_for(flag, in_process, monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda *setting: None)  # of this process, for all tests
    monkeypatch.setattr(tpu_compile, "slice_mesh", lambda topology: pytest.fail("asked for a slice"))
    with pytest.raises(UserError, match=r"config\.batch_size"):
        in_process(tpu_compile, flag)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
def test_a_step_compiles_for_four_chips_that_are_not_there(tiny_config):
    with pytest.raises(UserError, match="no slice 'v5e:3x5'"):
        tpu_compile.slice_mesh("v5e:3x5")
    results = tpu_compile.measure(tiny_config, tpu_compile.slice_mesh("v5e:2x2"))
    assert results["chips"] == 4
    assert set(results["collectives"]) == {"all-reduce"}
    # Gradients, then statistics and metrics: hundreds of bytes beside the 20 thousand of the parameters.
    reduced = results["collectives"]["all-reduce"]["bytes"]
    assert results["parameter_bytes"] <= reduced < 1.2 * results["parameter_bytes"]
    # Parameters and Adam's two moments come in.
    assert results["memory_bytes"]["arguments"] > 3 * results["parameter_bytes"]
    assert results["xla_flops_per_chip"] > results["layer_flops_per_chip"] > 0
