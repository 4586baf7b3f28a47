"""The files of docs/extending.md, run as they stand there, from a folder outside of the package."""

import json
import re
import runpy
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import CONFIGS

from ali_jax import build, data, export, inference, models, train
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.models import layers
from ali_jax.models.rows import row

DOCS = (Path(__file__).parent.parent / "docs" / "extending.md").read_text()
FILES = {
    re.match(r"# (\w+\.py)\n", block).group(1): block
    for block in re.findall(r"^```python\n(.*?)^```", DOCS, re.M | re.S)
}
TERMS = json.loads(re.search(r"--config\.terms='(.*?)'", DOCS).group(1))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files, importable; what they add to tables is gone afterwards."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    tables = layers.OPERATIONS, layers.EXAMPLE_WISE, data.SETS
    modules, tables = set(sys.modules), [(table, table.copy()) for table in tables]
    yield tmp_path
    for name in set(sys.modules) - modules:
        if name.removesuffix(".py") + ".py" in FILES:
            del sys.modules[name]
    for table, before in tables:
        table.clear()
        table.update(before)


def short(config):
    config.terms = {"adversarial": {}}
    config.num_steps, config.steps_per_dispatch, config.batch_size = 4, 1, 20
    config.log_every = config.figures_every = config.checkpoint_every = 2
    return config


def test_every_file_is_run_by_a_command():
    for name in FILES:
        stem = name.removesuffix(".py")
        assert re.search(rf"^(python {name}|.*--config={name} )|{stem}:\w+", DOCS, re.M), name


def test_networks_of_ones_own_are_trained(folder, capsys):
    runpy.run_path("my_networks.py")
    assert re.match(r"L_D \d\.\d{3}, mean sigma \d\.\d{3}\n", capsys.readouterr().out)


def test_a_term_is_trained_resumed_and_not_needed_afterwards(in_process, folder, tiny_config, monkeypatch):
    tiny_config.terms = TERMS
    tiny_config.num_steps = 4
    train.train_and_evaluate(tiny_config, "run")
    tiny_config.num_steps = 8
    assert int(train.train_and_evaluate(tiny_config, "run").step) == 8
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    for line in lines:
        assert line["loss_pull"] == pytest.approx(0.1 * line["distance_to_z"])
        whole = line["loss_adversarial_ge"] + line["loss_pull"]
        assert line["loss_generator_encoder"] == pytest.approx(whole)

    (folder / "my_terms.py").unlink()
    monkeypatch.delitem(sys.modules, "my_terms")
    assert inference.sample(inference.load("run"), np.uint32([0, 0]), 2).shape == (2, 8, 8, 1)
    in_process(export, "--workdir=run", f"--output={folder / 'run.safetensors'}", "--card")
    assert inference.sample(inference.load(folder / "run.safetensors"), np.uint32([0, 0]), 2).shape[0] == 2


def test_a_misspelt_setting_of_a_term_is_refused(folder, tiny_config):
    tiny_config.terms = {**TERMS, "my_terms:pull": {"wieght": 0.1}}
    with pytest.raises(UserError, match=r"no setting 'wieght'; choose of weight"):
        train.train_and_evaluate(tiny_config, "run")


def test_an_operation_is_trained_and_loaded_where_its_file_is_imported(folder):
    train.train_and_evaluate(short(config_lib.load("residual_digits.py")), "run")
    assert inference.features(inference.load("run"), data.load("digits", "test").x)["layer_3"].shape == (
        297,
        256,
    )

    config = config_lib.load(CONFIGS / "cifar10.py")  # no batch normalisation in D
    config.model.discriminator_joint = (row("residual", 8), *config.model.discriminator_joint)
    networks = models.build(config.model)
    assert models.scores_each_alone(networks.discriminator)
    layers.EXAMPLE_WISE.remove("residual")  # as of one of which nothing is said
    assert not models.scores_each_alone(networks.discriminator)

    del layers.OPERATIONS["residual"]  # as in another process
    with pytest.raises(UserError, match="residual"):
        inference.load("run")
    import residual_digits  # noqa: F401

    assert inference.load("run").step == 4


def test_networks_beside_D_fit_images_of_their_size(folder):
    game = build.game(config_lib.load("svhn_cycles.py"))
    layers_of_xx = game.shapes.params.discriminator["xx_stack"]
    assert layers_of_xx["layer_1"]["kernel"].shape == (4, 4, 6, 64)
    assert layers_of_xx["layer_3"]["kernel"].shape == (6 * 6 * 128, 1)
    batch = {"x": jax.ShapeDtypeStruct((4, 32, 32, 3), np.uint8)}
    _, metrics = jax.eval_shape(game.step, game.shapes, batch)
    assert {"loss_adversarial_cycle_x_d", "loss_adversarial_cycle_z_ge"} < metrics.keys()


def test_a_data_set_is_trained_on(folder):
    config = short(config_lib.load("stripes.py"))
    config.train_split = "train[:500]"
    train.train_and_evaluate(config, "run")
    assert {path.name for path in Path("run/figures").iterdir()} >= {"samples_0000004.png"}
    x, label, _ = data.load("stripes", "test")
    assert x.dtype == np.uint8 and x.shape == (1000, 8, 8, 1) and x.max() > 250 > 5 > x.min()
    # Along one axis nothing changes; which, is the label.
    assert (np.ptp(x, axis=1).max((1, 2)) == 0).tolist() == (label == 0).tolist()
    assert not np.array_equal(x, data.load("stripes", "train").x)


def test_an_experiment_reads_a_workdir(folder, tiny_workdir, monkeypatch, capsys):
    workdir = folder / "digits"
    workdir.mkdir()
    for part in ("config.json", "checkpoints"):
        (workdir / part).symlink_to(tiny_workdir / part)
    monkeypatch.setattr(sys, "argv", ["least_real.py", str(workdir)])
    runpy.run_path("least_real.py")
    assert re.match(r"step 12: D takes \d+\.\d% of 297 pairs of digits for real", capsys.readouterr().out)
    assert (workdir / "least_real.png").stat().st_size > 1000
