import json
from pathlib import Path

import pytest
from conftest import CONFIGS, load_config

from ali_jax import build
from ali_jax import config as config_lib
from ali_jax.errors import UserError

NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))
REQUIRED = "seed batch_size num_steps dtype data_dir log_every figures_every checkpoint_every".split()


def test_all_experiments_of_the_paper_have_a_config():
    assert {"svhn", "cifar10", "celeba", "celeba_conditional", "tiny_imagenet", "mixture"} < {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_configs_open_with_their_command_and_have_every_field(name):
    text = (CONFIGS / f"{name}.py").read_text()
    opening = text.split('"""')[1]
    assert "python -m ali_jax.main" in opening
    assert name == "digits" or f"--config=configs/{name}.py" in opening
    config = load_config(name)
    assert set(REQUIRED) <= set(config)
    config_lib.check(config)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_survives_its_json(name, tmp_path):
    """What a workdir's config.json describes is what was trained."""
    config = load_config(name)
    (tmp_path / "config.json").write_text(config_lib.to_json(config))
    again = config_lib.read(tmp_path)
    assert config_lib.to_json(again) == config_lib.to_json(config)
    assert build.networks(again) == build.networks(config)
    config_lib.check_same_run(config, tmp_path)


def test_a_difference_is_named_with_both_values(tmp_path):
    config = load_config("svhn")
    (tmp_path / "config.json").write_text(config_lib.to_json(config))
    config.model.leak = 0.02
    with pytest.raises(UserError, match=r"config\.model\.leak = 0\.01, not 0\.02"):
        config_lib.check_same_run(config, tmp_path)


def test_the_row_that_differs_is_named(tmp_path):
    config = load_config("svhn")
    (tmp_path / "config.json").write_text(config_lib.to_json(config))
    *rows, last = config.model.generator
    config.model.generator = (*rows, (*last[:5], 0.5, *last[6:]))
    with pytest.raises(UserError, match=r"config\.model\.generator\[6\] = .*0\.0.*, not .*0\.5"):
        config_lib.check_same_run(config, tmp_path)


def test_a_longer_run_on_another_disk_is_the_same_run(tmp_path):
    config = load_config("svhn")
    (tmp_path / "config.json").write_text(config_lib.to_json(config))
    config.num_steps, config.data_dir, config.dtype = 7, "/elsewhere", "bfloat16"
    config_lib.check_same_run(config, tmp_path)


def test_a_workdir_older_than_a_field_has_its_default(tmp_path):
    config = load_config("svhn")
    older = config.copy_and_resolve_references()
    del older.model.prior
    (tmp_path / "config.json").write_text(config_lib.to_json(older))
    assert config_lib.read(tmp_path).model.prior == "normal"
    config_lib.check_same_run(config, tmp_path)


@pytest.mark.parametrize("text", ['{"seed": ', "[]", '{"batch_size": "ten"}'])
def test_a_damaged_config_json_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        config_lib.read(tmp_path)


def test_variants_are_chosen_by_name():
    assert config_lib.reading("code", code=1, paper=2) == 1
    with pytest.raises(UserError, match="code, paper"):
        config_lib.reading("arxiv", code=1, paper=2)


def test_the_mixture_uses_the_b1_of_today():
    """0.8 in the official code is the weight of the new gradient."""
    assert load_config("mixture").b1 == 0.2
    assert json.loads(config_lib.to_json(load_config("svhn")))["b2"] == 0.999
    assert Path(CONFIGS / "mixture.py").exists()
