"""The grids of experiments/grids, and what makes one."""

import pytest
from conftest import load_config

from ali_jax import build
from ali_jax.errors import UserError
from experiments.common import grids, report

FOLDER = report.RESULTS.parent / "grids"
# The config that each is for.
CONFIG_OF = {
    "cycle": ("mnist",),
    "digits": ("digits",),
    "digits_contrast": ("digits",),
    "digits_share": ("digits",),
    "small": ("svhn", "small"),
    "small_cifar10": ("cifar10", "small"),
}


@pytest.fixture
def grid_file(tmp_path):
    """write(text): the path of a grid of this text."""

    def write(text):
        path = tmp_path / "grid.py"
        path.write_text(text)
        return str(path)

    return write


def test_equal_cost_by_hand():
    """1,000 steps of 3 FLOPs are 3,000: 600 steps of 5, 1,500 of 2, and one of 10,000."""
    each = {"paper": 3.0, "dear": 5.0, "cheap": 2.0, "dearest": 1e4, "odd": 7.0}
    steps = grids.steps_of("paper", 1000, each)
    assert steps == {"paper": 1000, "dear": 600, "cheap": 1500, "dearest": 1, "odd": 429}


def test_a_grid_is_read_and_its_folders_are_named(grid_file, tmp_path):
    variants = {"Larger, twice!": {"batch_size": 32}, "wide steps": {"learning_rate": 5e-4}}
    grid = grids.load(grid_file(f"REFERENCE = 'wide steps'\nVARIANTS = {variants}"))
    assert grid.reference == "wide steps" and list(grid.variants) == ["Larger, twice!", "wide steps"]
    assert grid.folder(tmp_path, "Larger, twice!", 2) == tmp_path / "larger_twice" / "2"
    assert grids.load(grid_file("VARIANTS = {'first': {}, 'second': {}}")).reference == "first"
    assert grids.slug("latent regression, 0.3") == "latent_regression_0.3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("VARIANTS = {", "cannot be run"),
        ("raise OSError('no')", "cannot be run"),
        ("", "no VARIANTS"),
        ("VARIANTS = {'a': 3}", "dict of fields"),
        ("VARIANTS = {'a b': {}, 'A-B': {}}", "share a folder"),
        ("VARIANTS = {'!': {}}", "share a folder|rename"),
        ("VARIANTS = {'a': {}}\nREFERENCE = 'b'", "none of VARIANTS"),
    ],
)
def test_what_is_no_grid_is_named(text, words, grid_file):
    with pytest.raises(UserError, match=words):
        grids.load(grid_file(text))


def test_a_missing_grid_is_named(tmp_path):
    with pytest.raises(UserError, match="Pass --grid"):
        grids.load(None)
    with pytest.raises(UserError, match="cannot be run"):
        grids.load(str(tmp_path / "nowhere.py"))


def test_a_variant_changes_what_it_names_and_nothing_else(tiny_config):
    rows = (*tiny_config.model.encoder[:1], *tiny_config.model.encoder)
    changes = {
        "batch_size": 8,
        "terms": {"adversarial": {"d": 0.5}, "feature_matching": {"weight": 2.0}},
        "terms.adversarial.ge": 0.25,
        "model.encoder": rows,
        "model.discriminator_z_head": (("dense", 1, 1, 1, False, 0.0, "linear", "tied"),),
    }
    found = grids.configured(tiny_config, "other", changes)
    assert found.batch_size == 8 and tiny_config.batch_size == 16
    assert found.terms.to_dict() == {
        "adversarial": {"d": 0.5, "ge": 0.25},
        "feature_matching": {"weight": 2.0},
    }
    assert tiny_config.terms.to_dict() == {"adversarial": {}}
    assert len(found.model.encoder) == 3 and len(tiny_config.model.encoder) == 2
    assert found.model.generator == tiny_config.model.generator
    gan = grids.configured(tiny_config, "gan", {"model.encoder": None, "model.discriminator_z": None})
    assert build.game(gan).networks.encoder is None


def test_fields_that_there_are_not_and_values_of_another_kind_are_named(tiny_config):
    with pytest.raises(UserError, match=r"config.learning_rat, which there is not; is it config.learning_r"):
        grids.configured(tiny_config, "v", {"learning_rat": 1e-3})
    with pytest.raises(UserError, match=r"VARIANTS\['v'\] changes config.model.decoder"):
        grids.configured(tiny_config, "v", {"model.decoder": ()})
    with pytest.raises(UserError, match=r"sets config.learning_rate to 'fast'; the config has 0.001"):
        grids.configured(tiny_config, "v", {"learning_rate": "fast"})
    with pytest.raises(UserError, match="write a mapping"):
        grids.configured(tiny_config, "v", {"terms": {"adversarial": 3}})


def test_every_grid_is_tested():
    assert {*CONFIG_OF} == {path.stem for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize("name", CONFIG_OF)
def test_the_grids_can_be_trained(name):
    for variant, changes in grids.load(str(FOLDER / f"{name}.py")).variants.items():
        build.game(grids.configured(load_config(*CONFIG_OF[name]), variant, changes))
