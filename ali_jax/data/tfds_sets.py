"""Data sets of TFDS: images, decoded once into memory-mapped arrays.

To add one, give it a row of IMAGE_SETS: its name in TFDS and the shape of its images. It becomes `x` from the
feature "image" and `label` from "label", if there is one. Images of varying or unwanted sizes need a function
`resize`, too; what it does is part of the decoded files, so that a later change of it needs a new
`array_files.FORMAT`.
"""

import functools

import numpy as np

from ali_jax.data import prepare
from ali_jax.data.decode import ImageSet

CELEBA_ATTRIBUTES = tuple(
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
    Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young""".split()
)


def resize_celeba(image: np.ndarray) -> np.ndarray:
    """(218, 178, 3) -> (64, 64, 3): the official 64 wide x 78 high, then rows 7 to 70."""
    from PIL import Image

    small = Image.fromarray(image).resize((64, 78), Image.Resampling.LANCZOS)
    return np.asarray(small.crop((0, 7, 64, 71)))


def resize_imagenet(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (64, 64, 3): shorter side to 64, centre crop; a choice of ours."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = 64 / min(height, width)
    width, height = max(64, round(width * scale)), max(64, round(height * scale))
    left, top = (width - 64) // 2, (height - 64) // 2
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized.crop((left, top, left + 64, top + 64)))


IMAGE_SETS = (
    ImageSet("svhn_cropped", (32, 32, 3)),
    ImageSet("cifar10", (32, 32, 3)),
    ImageSet("celeb_a", (64, 64, 3), resize_celeba, CELEBA_ATTRIBUTES),
    ImageSet("imagenet_resized/64x64", (64, 64, 3)),
    ImageSet(
        "imagenet2012",
        (64, 64, 3),
        resize_imagenet,
        by_hand="ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org/download-images",
    ),
    ImageSet("mnist", (28, 28, 1)),
    ImageSet("fashion_mnist", (28, 28, 1)),
)

SETS = {images.name: functools.partial(prepare.load, images) for images in IMAGE_SETS}
