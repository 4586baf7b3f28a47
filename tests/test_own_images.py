"""Training on images of one's own: a folder to samples, its classes to the semi-supervised game."""

import jax
import numpy as np
import pytest
from conftest import load_config
from PIL import Image

from ali_jax import build, data, examples, inference, main, train
from ali_jax.errors import UserError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twenty images in two folders, with a table of three attributes."""
    folder = tmp_path_factory.mktemp("photos")
    random, lines = np.random.default_rng(0), ["file,A,B,C"]
    for number in range(20):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(256, size=(9, 12, 3), dtype=np.uint8)).save(path)
        lines.append(f"{path.name},{number % 2},0,1")
    (folder / "attributes.csv").write_text("\n".join(lines))
    return folder


def test_a_folder_is_trained_on_to_samples(photos, tmp_path, tiny_config):
    plain = load_config("images", "8,grey")
    tiny_config.dataset, tiny_config.num_steps = f"images:{photos}", 6
    tiny_config.train_split, tiny_config.validation_split = plain.train_split, plain.validation_split
    train.train_and_evaluate(tiny_config, tmp_path / "run")
    assert (tmp_path / "run" / "figures" / "reconstructions_0000006.png").stat().st_size > 500


def test_the_command_line_takes_a_folder_and_what_stands_behind_the_size(photos, in_process):
    with pytest.raises(UserError, match=r"num_attributes is 2, but .* has 3"):
        in_process(
            main, "--config=configs/images.py:8,grey,attributes=2", f"--config.dataset=images:{photos}"
        )


def test_a_single_class_is_refused():
    with pytest.raises(UserError, match="a single class is none"):
        load_config("images", "8,grey,classes=1")


def test_classes_of_folders_reach_the_game_with_labels(photos):
    config = load_config("images", "8,grey,classes=2")
    config.dataset, config.num_labels = f"images:{photos}", 4
    split = examples.fit(examples.load_splits(config)["train"], config)
    assert split.x.shape[1:] == (8, 8, 1)
    labelled = examples.labelled_examples(config, split)
    assert sorted(split.label[labelled]) == [0, 0, 1, 1]
    game = build.game(config)
    of_strokes = load_config("images", "8,grey,strokes,classes=2").terms
    assert of_strokes.unary_x.unlabelled and of_strokes.adversarial.unlabelled
    assert "consistency" in of_strokes and "mixup" not in of_strokes
    assert game.needs.labels and {"labels", "adversarial", "mixup", "cycle"} < {*game.terms}


def test_images_without_a_label_are_trained_on_and_not_judged_by(tmp_path, tiny_config):
    random = np.random.default_rng(0)
    y = np.where(np.arange(200) % 10 < 4, np.arange(200) % 2, -1)
    np.savez(tmp_path / "mine.npz", x=random.integers(0, 256, (200, 8, 8), dtype=np.uint8), y=y)
    config = load_config("images", "8,grey,classes=2")
    config.dataset, config.num_labels = f"arrays:{tmp_path / 'mine.npz'}", 8
    config.batch_size, config.labelled_batch_size = 20, 10
    splits = examples.all_fit(config)
    labelled = examples.labelled_examples(config, splits["train"])
    assert sorted(splits["train"].label[labelled]) == [0] * 4 + [1] * 4
    batch = examples.open_batches(config, splits["train"], labelled)[0]
    assert np.sum(batch["label"] == -1) == 10 and {*batch["label"]} == {-1, 0, 1}

    game, validation = build.game(config), splits["validation"]
    state = jax.jit(game.init)(jax.random.key(0), batch=batch)
    model = inference.of_state(game.networks, state)
    known = validation.label >= 0
    assert 0 < known.sum() < len(known)
    by_hand = inference.class_probabilities(model, validation.x[known]).argmax(1) != validation.label[known]
    assert inference.classification_error(model, validation) == by_hand.mean()
    with pytest.raises(UserError, match="None of the examples has a label"):
        inference.classification_error(model, data.take(validation, np.flatnonzero(~known)))
    config.num_labels = -1
    all_known = examples.labelled_examples(config, splits["train"])
    np.testing.assert_array_equal(all_known, np.flatnonzero(splits["train"].label >= 0))
    with pytest.raises(UserError, match=r"No example of .* has a label"):
        examples.labelled_examples(config, splits["train"]._replace(label=np.full(len(y), -1)))


def test_attributes_beside_them_reach_the_conditional_game(photos):
    config = load_config("images", "8,attributes=3")
    config.dataset = f"images:{photos}"
    split = examples.fit(examples.load(config, "train"), config)
    assert split.attributes.shape == (20, 3)
    game = build.game(config)
    rows = {name: a[:4] for name, a in split._asdict().items() if name != "label"}
    _, metrics = jax.eval_shape(game.step, game.shapes, rows)
    assert "sigma_mean" in metrics


@pytest.mark.parametrize("side", [8, 9, 13, 15, 28, 47, 64, 90, 128, 200])
def test_networks_fit_every_size(side):
    """Building lets shapes through all three networks."""
    game = build.game(load_config("images", f"{side},grey"))
    assert game.example["x"].shape == (1, side, side, 1)
    assert game.networks.encoder.stack.rows[-1].features == 2 * game.networks.generator.latent_dim


def test_at_the_papers_size_it_is_the_recipe():
    config, svhn = load_config("images", "32,signs"), load_config("svhn", "small")
    assert config.model == svhn.model and config.terms == svhn.terms
    mirrored, cifar10 = load_config("images", "32,mirrored"), load_config("cifar10", "small")
    assert mirrored.model == cifar10.model and mirrored.terms == cifar10.terms
    assert load_config("images", "64,mirrored").terms == load_config("celeba", "small").terms
    drawn, mnist = load_config("images", "28,grey,strokes"), load_config("mnist")
    assert drawn.model == mnist.model and drawn.terms == mnist.terms
    assert not {"mirror", "shear", "negative"} & set(load_config("images", "32").terms.contrast)
    wide = load_config("images", "32,width=64").model.encoder
    assert [row.features for row in wide[:-1]] == [2 * row.features for row in config.model.encoder[:-1]]


@pytest.mark.parametrize(
    "variant",
    [
        "7",
        "0",
        "64,gray",
        "64,classes",
        "64,grey=1",
        "sixty",
        "64,attributes=x",
        "64,width=0",
        "",
        "32,signs,strokes",
    ],
)
def test_a_size_that_cannot_be_is_one_sentence(variant):
    with pytest.raises(
        UserError, match=r"choose 8 or more|write the side|choose one of signs, strokes"
    ) as error:
        load_config("images", variant)
    assert "\n" not in str(error.value)
