import functools
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import CONFIGS, load_config

from ali_jax import build
from ali_jax import config as config_lib
from ali_jax.errors import UserError

NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))
REQUIRED = "seed batch_size num_steps dtype data_dir log_every figures_every checkpoint_every".split()


@pytest.mark.parametrize("name", NAMES)
def test_configs_open_with_their_command_and_have_every_field(name):
    text = (CONFIGS / f"{name}.py").read_text()
    opening = text.split('"""')[1]
    assert "python -m ali_jax.main" in opening
    assert name == "digits" or f"--config=configs/{name}.py" in opening
    config = load_config(name)
    assert set(REQUIRED) <= set(config)
    config_lib.check(config)


def test_variants_are_chosen_by_name():
    assert config_lib.reading("code", code=1, paper=2) == 1
    with pytest.raises(UserError, match="code, paper"):
        config_lib.reading("arxiv", code=1, paper=2)


def test_the_mixture_uses_the_b1_of_today():
    """0.8 in the official code is the weight of the new gradient."""
    assert load_config("mixture", "ali").b1 == 0.2
    assert load_config("svhn").b2 == 0.999


def test_a_config_is_loaded_by_what_the_command_line_takes(monkeypatch):
    small = load_config("svhn", "small")
    assert config_lib.load(f"{CONFIGS / 'svhn.py'}:small").to_dict() == small.to_dict()
    assert config_lib.load("svhn:small").to_dict() == config_lib.load("svhn", "small").to_dict()
    assert config_lib.load("svhn:small").to_dict() == small.to_dict()
    monkeypatch.setattr(Path, "expanduser", lambda path: Path(str(path).replace("~", str(CONFIGS))))
    assert config_lib.load("~/svhn.py", "small").to_dict() == small.to_dict()


@pytest.mark.parametrize(
    ("name", "variant", "changes", "words"),
    [
        ("digits", (), {"images.fit": "squeeze"}, "config.images.fit is of images of your own"),
        ("mixture", ("gan",), {"disturbance.noise_z": 0.5}, "noise_z is of codes, and a plain GAN has none"),
        ("mixture", (), {"disturbance.colour": 1.0}, "colour is of images, and mixture holds none"),
    ],
)
def test_a_setting_that_nothing_would_read_is_refused(name, variant, changes, words):
    config = load_config(name, *variant)
    config_lib.check(config)
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=words):
        config_lib.check(config)


def test_a_mapping_that_leaves_fields_out_is_refused():
    config = load_config("digits")
    config.rate_of = {"generator": 2.0}
    with pytest.raises(UserError, match=r"config\.rate_of has no discriminator"):
        config_lib.check(config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"avarage_rate": 0.5}, r"There is no config\.avarage_rate; is it config\.average_rate"),
        ({"disturbance.color": 1.0}, r"no config\.disturbance\.color; is it config\.disturbance\.colour"),
        (
            {"model.spectral_norms": ()},
            r"no config\.model\.spectral_norms; is it config\.model\.",
        ),
        ({"terms": None}, r"config\.terms is None; it must be a mapping"),
        ({"train_split": None}, r"config\.train_split is None; it must be text"),
        ({"classes": 3}, r"config\.classes is 3; it must be a tuple"),
        ({"model.x_shape": 64}, r"config\.model\.x_shape is 64; it must be the shape of an example"),
        ({"model.encoder": 5}, r"config\.model\.encoder is 5; it must be a tuple of rows"),
        ({"learning_rate": np.float32(0.1)}, r"config\.learning_rate is np\.float32\(0\.1\), a float32"),
        ({"classes": (np.int64(1),)}, r"config\.classes is np\.int64\(1\), a int64"),
    ],
)
def test_what_a_file_may_get_wrong_is_named(changes, words):
    """The command line knows a config's fields; a file may add any, which nothing would read."""
    config = load_config("digits")
    for path, value in changes.items():
        *rooms, name = path.split(".")
        room = functools.reduce(getattr, rooms, config)
        with room.unlocked(), room.ignore_type():
            room[name] = value
    with pytest.raises(UserError, match=words):
        build.game(config)


def test_a_model_without_a_shape_is_named():
    config = load_config("digits")
    with config.model.unlocked():
        del config.model.x_shape
    with pytest.raises(UserError, match=r"x_shape"):
        build.game(config)


@pytest.mark.parametrize(
    ("path", "variant", "words"),
    [
        ("configs/nowhere.py", (), "There is no config configs/nowhere.py"),
        ("configs/nowhere.py:small", (), "There is no config configs/nowhere.py"),
        ("README.md", (), "README.md is no Python file"),
        ("svnh", (), "svnh.py; pass the path of one, as in"),
        ("", (), "is no Python file"),
        (CONFIGS, (), f"{CONFIGS} is no Python file"),
        (f"{CONFIGS / 'svhn.py'}:huge", (), "knows no variant 'huge'"),
        (f"{CONFIGS / 'svhn.py'}:", (), "knows no variant ''"),
        (CONFIGS / "mnist_bigan.py", ("small",), "knows no variant 'small'"),
        (f"{CONFIGS / 'svhn.py'}:small", ("paper",), "does not take the variant small, paper"),
        (__file__, (), "has no function get_config"),
    ],
)
def test_what_is_no_config_is_named_in_one_line(path, variant, words):
    with pytest.raises(UserError, match=re.escape(words)) as error:
        config_lib.load(path, *variant)
    assert "\n" not in str(error.value)
