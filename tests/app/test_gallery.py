"""Which images the page knows: the model's own, those that are asked for, or samples; and their names."""

import numpy as np
import pytest
from helpers import make_conditional_config, untrained
from PIL import Image

from ali_jax import data, inference, pretrained
from ali_jax.app import gallery
from ali_jax.errors import UserError


@pytest.fixture(scope="module")
def tiny(tiny_workdir):
    """(model, config) of a run on digits."""
    return inference.load(tiny_workdir), pretrained.config_of(tiny_workdir)


@pytest.fixture
def folder(tmp_path):
    """Two folders of classes, of three grey images each, 8x8."""
    for number, name in enumerate(("cats", "dogs")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for k in range(3):
            image = Image.fromarray(np.full((8, 8), 100 * number + k, np.uint8))
            image.save(tmp_path / "pets" / name / f"{k}.png")
    return tmp_path / "pets"


def test_by_default_images_are_those_of_the_models_own_training(tiny):
    found = gallery.load(*tiny, most=100)
    train = data.load("digits", "train")
    rows = np.linspace(0, 1499, 100).astype(int)
    np.testing.assert_array_equal(found.x, train.x[rows])
    np.testing.assert_array_equal(found.label, train.label[rows])
    assert found.source == "100 of the 1,500 images of digits, split train"
    assert found.class_of(3) == str(train.label[rows[3]])
    assert gallery.load(*tiny).source == "1,500 images of digits, split train"
    assert len(gallery.load(*tiny, split="test[:40]").x) == 40


def test_a_data_set_that_is_not_here_is_replaced_by_samples_and_not_downloaded(tiny, tmp_path, monkeypatch):
    model, config = tiny
    config = config.copy_and_resolve_references()
    config.dataset, config.data_dir = "mnist", str(tmp_path)
    monkeypatch.setattr(data, "load", lambda *_: pytest.fail("asked for data"))
    found = gallery.load(model, config)
    assert found.x.shape == (gallery.SAMPLES, 8, 8, 1) and found.x.dtype == np.uint8 and found.x.std() > 0
    assert found.source == f"1,000 samples of the model (mnist is not in {tmp_path})"
    assert found.groups() == {} and found.class_of(0) == ""


def test_a_folder_is_named_by_its_path_and_its_classes_by_theirs(tiny, folder):
    model, config = tiny
    found = gallery.load(model, config, str(folder))
    assert found.source == f"6 images of images:{folder}, split train"
    assert sorted(map(found.class_of, range(6))) == ["cats"] * 3 + ["dogs"] * 3
    is_dog = found.x[:, 0, 0, 0] >= 100
    assert {*found.groups()} == {"classes"}
    np.testing.assert_array_equal(found.groups()["classes"]["dogs"], is_dog)


def test_attributes_have_the_names_of_their_columns(tiny, folder):
    rows = [f"{name}/{k}.png,{k % 2},1" for name in ("cats", "dogs") for k in range(3)]
    (folder / "attributes.csv").write_text("\n".join(["file,odd,pet", *rows]))
    found = gallery.load(*tiny, str(folder))
    assert found.columns == ("odd", "pet")
    np.testing.assert_array_equal(found.groups()["attributes"]["odd"], found.x[:, 0, 0, 0] % 100 == 1)


def test_what_is_asked_for_is_found_by_name_or_by_path(tmp_path):
    assert gallery.dataset_named("mnist") == "mnist"
    assert gallery.dataset_named(str(tmp_path)) == f"images:{tmp_path}"
    assert gallery.dataset_named("some/x.npz") == "arrays:some/x.npz"
    assert gallery.dataset_named("arrays:some/x.npz") == "arrays:some/x.npz"
    assert gallery.dataset_named("imagenet_resized/64x64") == "imagenet_resized/64x64"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("mixture", r"mixture have the shape \(2,\), and the model takes \(8, 8, 1\)"),
        ("nothing", "There is no data set 'nothing'"),
        ("images:nowhere", "nowhere is no folder"),
        ("photos/nowhere", "photos/nowhere is no folder"),
    ],
)
def test_images_that_the_model_cannot_take_are_refused(tiny, asked, words):
    with pytest.raises(UserError, match=words) as error:
        gallery.load(*tiny, asked)
    assert "\n" not in str(error.value)


def test_a_conditional_model_needs_attributes_and_samples_have_none(folder):
    config = make_conditional_config(4, 4, 3)
    x, attributes = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 40), np.uint8)
    model = untrained(config, x=x, attributes=attributes)
    with pytest.raises(UserError, match=r"on 40 attributes, and images:.* has 0"):
        gallery.load(model, config, str(folder))
    config.data_dir = str(folder)
    found = gallery.load(model, config)
    assert found.attributes.shape == (gallery.SAMPLES, 40) and not found.attributes.any()
    assert found.columns[0] == "5 o Clock Shadow"


def test_an_image_without_a_label_is_of_no_class(tiny, folder):
    (folder / "dogs").rename(folder / "unlabelled")
    (folder / "cats" / "0.png").rename(folder / "0.png")
    for name in ("ants", "bees"):
        (folder / name).mkdir()
    (folder / "0.png").rename(folder / "ants" / "0.png")
    (folder / "cats" / "1.png").rename(folder / "bees" / "1.png")
    found = gallery.load(*tiny, str(folder))
    named = {int(x[0, 0, 0]): found.class_of(row) for row, x in enumerate(found.x)}
    assert named == {0: "ants", 1: "bees", 2: "cats", 100: "", 101: "", 102: ""}
