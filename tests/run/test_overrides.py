import json

import pytest
from conftest import load_config

from ali_jax.errors import UserError
from ali_jax.run.overrides import set_terms
from ali_jax.run.workdirs import read_config, to_json


def terms_after(*arguments, name=("digits", "paper")):
    config = load_config(*name)
    config.lock()
    set_terms(config, ["main.py", *arguments])
    assert config.is_locked
    return config.terms.to_dict()


def test_a_setting_of_a_term_is_set():
    assert terms_after("--config.terms.adversarial.d=0.5") == {"adversarial": {"d": 0.5}}
    assert terms_after("--config.terms.adversarial.unlabelled=true", "--config.terms.adversarial.ge=2") == {
        "adversarial": {"unlabelled": True, "ge": 2}
    }


def test_a_term_is_added_and_its_name_may_hold_dots():
    assert terms_after("--config.terms.labels={}") == {"adversarial": {}, "labels": {}}
    added = terms_after("--config.terms.my_package.terms:pull.weight=0.1")
    assert added == {"adversarial": {}, "my_package.terms:pull": {"weight": 0.1}}


def test_the_whole_game_is_replaced():
    text = '{"labels": {}, "my_package.terms:pull": {"weight": 0.1}, "adversarial": {"unlabelled": true}}'
    assert terms_after(f"--config.terms={text}") == json.loads(text)
    # So it may be written in Python as well as in JSON.
    assert terms_after(f"--config.terms={json.loads(text)}") == json.loads(text)


def test_such_terms_survive_the_config_json(tmp_path):
    config = load_config("digits", "paper")
    set_terms(config, ["main.py", "--config.terms.my_package.terms:pull={}"])
    (tmp_path / "config.json").write_text(to_json(config))
    assert read_config(tmp_path).terms.to_dict() == {"adversarial": {}, "my_package.terms:pull": {}}


@pytest.mark.parametrize(
    "argument",
    [
        "--config.terms=adversarial",
        "--config.terms.labels=1.0",
        "--config.terms={'adversarial': 3}",
        "--config.terms={[]: 1}",
        "--config.terms=" + "[" * 10**5,
    ],
)
def test_what_is_no_mapping_is_named(argument):
    with pytest.raises(UserError, match="write a mapping"):
        terms_after(argument)
