"""Images of any size and kind made into arrays of one shape."""

import numpy as np
import pytest
from PIL import Image

from ali_jax.data import pictures
from ali_jax.data.pictures import Frame
from ali_jax.errors import UserError


def bars(width: int, height: int, *colours: tuple[int, int, int]) -> Image.Image:
    """Upright bars of equal width."""
    x = np.repeat(np.uint8(colours), width // len(colours), axis=0)
    return Image.fromarray(np.broadcast_to(x, (height, *x.shape)).copy())


RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3
FLAG = bars(96, 32, RED, GREEN, BLUE)  # three squares


def corners(frame: Frame, image: Image.Image = FLAG) -> list[tuple[int, ...]]:
    """Colours at the left, in the middle and at the right of the middle row, from left to right."""
    x = pictures.fit(image, frame)
    assert x.shape == frame.shape and x.dtype == np.uint8
    return [tuple(x[x.shape[0] // 2, column].tolist()) for column in (1, x.shape[1] // 2, -2)]


def test_a_crop_is_the_middle():
    assert corners(Frame((8, 8, 3))) == [GREEN] * 3
    assert corners(Frame((8, 24, 3))) == [RED, GREEN, BLUE]
    assert corners(Frame((8, 8, 3)), FLAG.rotate(90, expand=True)) == [GREEN] * 3


def test_stretched_all_of_it_is_there():
    assert corners(Frame((8, 24, 3), "stretch"), FLAG.resize((96, 96))) == [RED, GREEN, BLUE]


def test_padded_all_of_it_is_there_undistorted():
    x = pictures.fit(FLAG, Frame((24, 24, 3), "pad"))
    assert tuple(x[12, 2]) == RED and tuple(x[12, -2]) == BLUE
    assert not x[:7].any() and not x[-7:].any()


def test_zoom_leaves_out_what_is_at_the_sides():
    assert corners(Frame((8, 8, 3), "stretch", zoom=1 / 3)) == [GREEN] * 3
    assert corners(Frame((8, 8, 3), "pad", zoom=1 / 3)) == [GREEN] * 3


@pytest.mark.parametrize("size", [(33, 17), (7, 301), (1, 1), (640, 333)])
@pytest.mark.parametrize("fit", pictures.FITS)
def test_every_size_becomes_the_shape(size, fit):
    for zoom in (1.0, 0.7):
        x = pictures.fit(Image.new("RGB", size, WHITE), Frame((10, 20, 3), fit, zoom))
        assert x.shape == (10, 20, 3) and x.max() == 255


def test_grey_and_colour_become_each_other():
    grey = pictures.fit(FLAG, Frame((8, 24, 1)))
    assert grey.shape == (8, 24, 1) and [grey[4, c, 0] for c in (4, 12, 20)] == [76, 150, 29]  # ITU-R 601
    coloured = pictures.fit(Image.new("L", (8, 8), 99), Frame((8, 8, 3)))
    assert (coloured == 99).all()


def test_16_bits_are_scaled_and_not_clipped():
    deep = Image.fromarray(np.full((8, 8), 0x80FF, np.uint16))
    assert (pictures.fit(deep, Frame((8, 8, 1))) == 0x80).all()


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (0.5, np.float32, 128),
        (0, np.int32, 0),
        (0x80FF, np.int32, 0x80),
        (0x00FF, np.uint16, 0),
    ],
)
def test_deep_images_are_read_by_the_range_of_their_numbers(value, dtype, expected):
    deep = Image.fromarray(np.full((8, 8), value, dtype))
    assert (pictures.fit(deep, Frame((8, 8, 1))) == expected).all()


def test_whole_numbers_of_32_bits_that_8_would_hold_are_refused():
    """A dark frame of many would come out brighter than the others, or all of them black."""
    with pytest.raises(ValueError, match="its values have 32 bits and go to 200; save it in 8"):
        pictures.fit(Image.fromarray(np.full((8, 8), 200, np.int32)), Frame((8, 8, 1)))


@pytest.mark.parametrize("values", [(-1.0, 1.0), (0.0, 200.0), (0.0, np.nan)])
def test_floats_of_no_known_range_are_refused(values):
    with pytest.raises(ValueError, match="its values are from"):
        pictures.fit(Image.fromarray(np.float32([values] * 2)), Frame((8, 8, 1)))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode)
    if mode == "P":
        image.info["transparency"] = image.getpixel((0, 0))
    assert (pictures.fit(image, Frame((8, 8, 3))) == 255).all()


def test_a_photograph_is_turned_as_its_camera_says_and_shrunk_well(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    bars(900, 600, BLACK, WHITE).save(tmp_path / "photo.jpg", quality=95, exif=exif)
    x = pictures.read(tmp_path / "photo.jpg", Frame((12, 8, 3), "stretch"))
    assert x[:5].max() < 8 and x[-5:].min() > 247


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (None, "images:mine needs the shape"),
        ((8, 8, 1), r"frame is a tuple; pass data\.Frame"),
        (Frame(8), "The shape of a frame is 8; pass three whole numbers"),
        (Frame((8.0, 8, 1)), r"The shape of a frame is \(8.0, 8, 1\); pass three"),
        (Frame((2,)), r"shape \(2,\)"),
        (Frame((8, 8, 2)), r"shape \(8, 8, 2\)"),
        (Frame((8, 8, 3), "squeeze"), "crop, pad, stretch"),
        (Frame((8, 8, 3), zoom=0.0), "zoom is 0.0"),
        (Frame((8, 8, 3), unreadable=1.0), "unreadable is 1.0"),
    ],
)
def test_what_no_image_can_become_is_told(frame, words):
    with pytest.raises(UserError, match=words) as error:
        pictures.check("images:mine", frame)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_a_damaged_note_of_the_camera_leaves_the_picture(tmp_path, kind):
    FLAG.save(tmp_path / "sound", kind, **({"quality": 100} if kind == "jpeg" else {"lossless": True}))
    FLAG.save(
        tmp_path / "noted",
        kind,
        exif=b"no camera wrote this",
        **({"quality": 100} if kind == "jpeg" else {"lossless": True}),
    )
    sound, noted = (pictures.read(tmp_path / name, Frame((8, 24, 3))) for name in ("sound", "noted"))
    np.testing.assert_array_equal(sound, noted)
