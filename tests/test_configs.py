"""Each config of configs/, in each of its variants: it builds, and says what the tables say."""

import itertools
import json
import shutil
import sys

import jax
import pytest
from absl import flags
from conftest import CONFIGS, load_config
from ml_collections import config_flags

from ali_jax import build
from ali_jax import config as config_lib
from ali_jax.errors import UserError
from ali_jax.models import Row
from ali_jax.models.rows import conv, embed

READINGS = ("recommended", "code", "paper")
OURS = ("recommended", "recipe", "small")
GAMES = ("ali", "ali_mixup", "ali_consistency", "feature_matching", "mixup", "consistency", "supervised")
STACKS = ("encoder", "generator", "discriminator_x", "discriminator_z", "discriminator_joint")
# The first variant is what the config is without one.
VARIANTS = {
    "celeba": (*READINGS, *OURS[1:]),
    "celeba_conditional": (*READINGS, *OURS[1:]),
    "cifar10": (*READINGS, *OURS[1:]),
    "cifar10_semi_supervised": GAMES,
    "digits": ("ours", "paper"),
    "digits_semi_supervised": GAMES,
    "five_gaussians": ("alice", "ali"),
    "images": ("64", "32", "128"),
    "mixture": ("ours", "ali", "gan"),
    "mnist": ("ours", "paper"),
    "mnist_bigan": ("bigan", "latent_regressor"),
    "mnist_improved_gan_semi_supervised": GAMES,
    "mnist_semi_supervised": GAMES,
    "svhn": OURS,
    "svhn_semi_supervised": GAMES,
    "svhn_small_semi_supervised": GAMES,
    "cifar10_small_semi_supervised": GAMES,
    "tiny_imagenet": OURS,
}
ALL = [(name, *variant) for name, known in VARIANTS.items() for variant in (zip(known) if known else [()])]


def test_every_config_is_tested():
    assert {*VARIANTS} == {path.stem for path in CONFIGS.glob("*.py")}


@pytest.mark.parametrize("name", ALL, ids=":".join)
def test_it_builds_the_game_that_its_name_says(name):
    config = load_config(*name)
    config_lib.check(config)
    game = build.game(config)
    alone = name[-1] in ("gan", "feature_matching", "mixup", "consistency", "supervised")
    assert (game.networks.encoder is None) == alone
    labels = name[0].endswith("semi_supervised")
    assert game.needs.labels == labels
    assert config.model.discriminator_joint[-1].features == (10 if labels else 1)  # logits
    assert jax.tree.leaves(game.shapes.params.discriminator)
    assert bool(jax.tree.leaves(game.shapes.params.encoder)) != alone


@pytest.mark.parametrize("name", ALL, ids=":".join)
def test_rows_are_rows_and_stay_rows(name):
    """A ConfigDict keeps them as they are; its copy and its dict too."""
    config = load_config(*name)
    model = config.model
    for kept in (model, config.copy_and_resolve_references().model, config.to_dict()["model"]):
        for stack in STACKS:
            assert kept[stack] == model[stack]
            assert all(isinstance(row, Row) for row in kept[stack] or ())
    again = json.loads(json.dumps(config.to_dict()))["model"]
    for stack in STACKS:
        assert tuple(Row(*row) for row in again[stack] or ()) == (model[stack] or ())


@pytest.mark.parametrize("name", [name for name, known in VARIANTS.items() if known])
def test_the_first_variant_is_the_config_without_one(name):
    assert load_config(name).to_dict() == load_config(name, VARIANTS[name][0]).to_dict()


@pytest.mark.parametrize("name", [name for name, known in VARIANTS.items() if known])
def test_an_unknown_variant_is_named_beside_those_there_are(name):
    with pytest.raises(UserError) as error:
        load_config(name, "arxiv")
    assert "'arxiv'" in str(error.value)
    assert all(variant in str(error.value) for variant in VARIANTS[name])


RECIPES = [name for name, known in VARIANTS.items() if "small" in known]


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_keeps_the_networks_and_the_length_of_the_config(name):
    plain, recipe = load_config(name), load_config(name, "recipe")
    assert recipe.model == plain.model and recipe.num_steps == plain.num_steps
    assert plain.terms.to_dict() == {"adversarial": {}} and {"adversarial", "cycle"} < {*recipe.terms}


@pytest.mark.parametrize("name", RECIPES)
def test_the_small_recipe_is_the_recipe_on_small_networks(name):
    recipe, small = load_config(name, "recipe"), load_config(name, "small")
    assert small.terms == recipe.terms and small.num_steps < recipe.num_steps / 20
    assert small.model.x_shape == recipe.model.x_shape
    assert small.model.num_attributes == recipe.model.num_attributes
    wide, narrow = (sum(row.features for stack in STACKS for row in c.model[stack]) for c in (recipe, small))
    assert narrow < wide / 2


@pytest.mark.parametrize("name", [name for name, known in VARIANTS.items() if known == GAMES])
@pytest.mark.parametrize("term", ["mixup", "consistency"])
def test_our_games_for_few_labels_are_ali_with_a_term_more(name, term):
    ali, ours = load_config(name), load_config(name, f"ali_{term}")
    assert ours.terms.to_dict() == {**ali.terms.to_dict(), term: {}}
    with ours.unlocked():
        ours.terms = ali.terms
    assert ours == ali


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


# Parameters of E, G and D: kernels, and a bias or a scale and a shift for each unit. Those of the paper's
# networks are published, and tested with the networks.
COUNTED = {
    "digits": (
        64 * 256 + 2 * 256 + 256 * 256 + 2 * 256 + 256 * 32 + 32,
        16 * 256 + 2 * 256 + 256 * 256 + 2 * 256 + 256 * 64 + 64,
        64 * 256 + 256 + 256 * 256 + 256 + 16 * 256 + 256 + 512 * 256 + 256 + 256 * 256 + 256 + 2 * (256 + 1),
    ),
    "mnist_bigan": (
        784 * 1024 + 1024 * 1024 + 1024 * 50,
        50 * 1024 + 1024 * 1024 + 1024 * 784,
        784 * 1024 + (1024 + 50) * 1024 + 1024,
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_parameters_are_as_many_as_counted_by_hand(name):
    params = build.game(load_config(name)).shapes.params
    assert (count(params.encoder), count(params.generator), count(params.discriminator)) == COUNTED[name]


def test_the_published_game_of_few_labels_is_the_one_published():
    """Salimans et al. (2016): the dense layers of D and their noise; only the last one's scale is learned."""
    config = load_config("mnist_improved_gan_semi_supervised", "feature_matching")
    shapes = build.game(config).shapes
    of_d, fixed = (part.discriminator["joint_stack"] for part in (shapes.params, shapes.batch_stats))
    sizes = (784, 1000, 500, 250, 250, 250, 10)
    for number, shape in enumerate(itertools.pairwise(sizes), 1):
        layer = f"layer_{number}"
        assert of_d[layer]["kernel"].shape == shape
        assert ("scale" in of_d[layer]) == (number == 6) and (layer in fixed) == (number < 6)
    noises = [row.input_noise for row in config.model.discriminator_joint]
    assert noises == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert (config.num_steps * 100) == 300 * 55_000
    assert config.terms.feature_matching.to_dict() == {} and config.terms.adversarial.d == 0.5


def test_cifar10_has_the_generator_of_svhn_and_its_encoder_but_the_head():
    cifar10, svhn = load_config("cifar10").model, load_config("svhn").model
    assert cifar10.generator == svhn.generator
    assert cifar10.encoder[:-1] == svhn.encoder[:-1]
    assert cifar10.encoder[-1] == conv(2 * 64, 1, nonlinearity="linear")
    assert svhn.encoder[-1] == conv(2 * 256, 1, nonlinearity="linear")
    assert (cifar10.latent_dim, cifar10.leak, svhn.latent_dim, svhn.leak) == (64, 0.1, 256, 0.01)


@pytest.mark.parametrize("reading", READINGS)
def test_celeba_conditional_is_celeba_with_embeddings_put_in(reading):
    """Into the input of E's last layer and of the first of G and of D(x, z)."""
    config, celeba = load_config("celeba_conditional", reading), load_config("celeba", reading)
    model, embedding = config.model, embed(256, learned=reading != "code")
    for stack, place in {"encoder": 5, "generator": 0, "discriminator_joint": 0}.items():
        rows = list(model[stack])
        assert rows.pop(place) == embedding
        assert tuple(rows) == celeba.model[stack]
    assert model.discriminator_x == celeba.model.discriminator_x
    assert model.discriminator_z == celeba.model.discriminator_z
    assert (model.num_attributes, celeba.model.num_attributes) == (40, 0)
    assert (config.batch_size, config.num_steps) == (128, 162_770 * 123 // 128)
    assert (celeba.batch_size, celeba.num_steps) == (100, 162_770 * 123 // 100)


def test_the_readings_of_celeba_differ_in_D_of_x_alone():
    code, paper = (load_config("celeba", reading).model for reading in ("code", "paper"))
    assert {stack for stack in STACKS if code[stack] != paper[stack]} == {"discriminator_x"}
    assert [row.dropout for row in code.discriminator_x] == [0.2] * 5
    assert [row.dropout for row in paper.discriminator_x] == [0.0] * 5
    assert [(row.norm, row.bias) for row in code.discriminator_x] == [(False, "tied")] + [(True, "none")] * 4
    assert [(row.norm, row.bias) for row in paper.discriminator_x] == [(True, "none")] * 5


def test_the_readings_of_cifar10_are_as_wide_and_drop_as_its_docstring_says():
    ours, code, paper = (load_config("cifar10", reading).model for reading in READINGS)
    for stack in STACKS[2:]:
        doubled = [2 * row.features if row.features > 1 else 1 for row in ours[stack]]
        assert [row.features for row in paper[stack]] == doubled
        assert [row.dropout for row in paper[stack]] == [row.dropout for row in ours[stack]]
    assert [row.dropout for row in ours.discriminator_x] == [0.2, 0.5, 0.5, 0.5, 0.5]
    # The third convolution's output is dropped, by a row of its own, not its input nor the fourth's.
    assert [row.dropout for row in code.discriminator_x] == [0.2, 0.5, 0.0, 0.5, 0.0, 0.5]
    assert [row.operation for row in code.discriminator_x].index("identity") == 3
    assert code.discriminator_joint == ours.discriminator_joint


@pytest.mark.parametrize("name", ["svhn", "cifar10", "digits"])
def test_the_networks_with_labels_are_those_without_but_for_the_logits(name):
    plain, labelled = load_config(name).model, load_config(f"{name}_semi_supervised").model
    for stack in STACKS[:-1]:
        assert labelled[stack] == plain[stack]
    *hidden, head = labelled.discriminator_joint
    *plain_hidden, plain_head = plain.discriminator_joint
    assert hidden == plain_hidden
    assert head == plain_head._replace(features=10)


@pytest.mark.parametrize("name", ["cifar10", "celeba_conditional", "svhn_semi_supervised"])
def test_configs_find_each_other_wherever_they_are_installed(name, tmp_path):
    shutil.copytree(CONFIGS, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    moved = config_lib.load(tmp_path / "elsewhere" / f"{name}.py")
    assert moved.to_dict() == load_config(name).to_dict()


def test_the_command_line_replaces_a_stack(monkeypatch):
    """By plain tuples, of the seven values that a row must have or of more."""
    plain = "(('dense',1,1,8,False,0.0,'leaky_relu','tied'),('dense',1,1,6,True,0.0,'relu'))"
    argv = ["main", f"--config={CONFIGS / 'svhn.py'}", f"--config.model.discriminator_z={plain}"]
    monkeypatch.setattr(sys, "argv", argv)
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, lock_config=True)
    assert values(argv) == ["main"]
    params = build.game(values.config).shapes.params.discriminator
    assert params["z_stack"]["layer_1"]["kernel"].shape == (256, 8)
    assert params["z_stack"]["layer_2"]["kernel"].shape == (8, 6)
    assert params["joint_stack"]["layer_1"]["kernel"].shape == (1, 1, 512 + 6, 1024)


def test_flattened_overrides_replace_a_stack():
    config = load_config("svhn")
    plain = (("dense", 1, 1, 8, False, 0.0, "leaky_relu", "tied"),)
    config.update_from_flattened_dict({"config.model.discriminator_z": plain}, "config.")
    assert build.game(config).networks.discriminator.z_stack.rows == (Row(*plain[0]),)
