import numpy as np
import pytest
from tfds_examples import digit_examples, pictures, tfds, write_tfds

from ali_jax.data import decode
from ali_jax.data.tfds_sets import CELEBA_ATTRIBUTES, IMAGE_SETS

SET = {images.name: images for images in IMAGE_SETS}


def decoded(images: decode.ImageSet, builder) -> dict[str, np.ndarray]:
    """All examples of "train", each in its row; checks that the blocks are of the promised fields."""
    arrays = {field: np.zeros(*spec) for field, spec in decode.specs(images, builder, "train").items()}
    for rows, block in decode.blocks(images, builder, "train"):
        assert len(rows) <= 256
        assert {field: array.dtype for field, array in block.items()} == {
            field: array.dtype for field, array in arrays.items()
        }
        for field, array in block.items():
            arrays[field][rows] = array
    return arrays


def test_cifar10_is_in_the_order_of_its_ids(tmp_path):
    images = pictures(300, 32, 32, 3)
    shuffled = np.random.default_rng(1).permutation(300)
    examples = [{"id": f"train_{i:05d}", "image": images[i], "label": i % 10} for i in shuffled]
    arrays = decoded(SET["cifar10"], write_tfds(tmp_path, "cifar10", {"train": examples}))
    np.testing.assert_array_equal(arrays["x"], images)
    np.testing.assert_array_equal(arrays["label"], np.arange(300) % 10)
    assert arrays["label"].dtype == np.int32 and set(arrays) == {"x", "label"}


def test_mnist_is_in_the_order_of_tfds(tmp_path):
    builder = write_tfds(tmp_path, "mnist", {"train": digit_examples(600)})
    arrays = decoded(SET["mnist"], builder)
    examples = list(tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False)))
    np.testing.assert_array_equal(arrays["x"], [example["image"] for example in examples])
    np.testing.assert_array_equal(arrays["label"], [example["label"] for example in examples])
    assert arrays["x"].shape == (600, 28, 28, 1)


def test_celeba_has_attributes_and_no_labels(tmp_path):
    features = tfds.builder("celeb_a", data_dir=tmp_path).info.features
    face = np.zeros((218, 178, 3), np.uint8)
    face[99:119, 79:99] = 255
    example = {
        "image": face,
        "attributes": {name: name in ("Bald", "Male", "Young") for name in CELEBA_ATTRIBUTES},
        "landmarks": dict.fromkeys(features["landmarks"], 0),
        "identity": {"Identity_No": 0},
    }
    arrays = decoded(SET["celeb_a"], write_tfds(tmp_path, "celeb_a", {"train": [example]}))
    assert set(arrays) == {"x", "attributes"}
    assert np.flatnonzero(arrays["attributes"]).tolist() == [4, 20, 39]
    assert (arrays["attributes"].shape, arrays["attributes"].dtype) == ((1, 40), np.uint8)
    assert arrays["x"].shape == (1, 64, 64, 3)
    assert arrays["x"][0, 30:34, 30:34].min() > 240, "the white square is where the official crop has it"


def test_celeba_attributes_are_in_the_standard_order():
    from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder

    assert list(CELEBA_ATTRIBUTES) == celeb_a_dataset_builder.ATTR_HEADINGS


def test_images_of_another_shape_are_refused(tmp_path):
    builder = write_tfds(tmp_path, "mnist", {"train": digit_examples(3)})
    with pytest.raises(ValueError, match="32"):
        decoded(SET["mnist"]._replace(shape=(32, 32, 1)), builder)
