"""Kills while images of the user's own are decoded: the same command then has every image."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from helpers import ROOT, environment
from PIL import Image

from .kills import finish
from .tally import Case

IMAGES = 4000
# Decodes the folder, and leaves the pixels where they are to be compared.
PROGRAM = """
import sys
import numpy as np
from ali_jax import data
frame = data.Frame((16, 16, 3))
split = data.load(f"images:{sys.argv[1]}", "train", sys.argv[2], frame)
np.save(sys.argv[3], split.x)
"""


def of_folders(scratch: Path, seed: int) -> Iterator[Case]:
    """Without end: a folder of images, killed once or twice at random moments of its decoding."""
    chance = random.Random(seed)
    folder = draw_images(scratch / "images", seed)
    begun = time.monotonic()
    finish([decode(folder, scratch / "decoded_whole", scratch / "whole.npy")])
    seconds = time.monotonic() - begun
    while True:
        moments = [chance.uniform(0, seconds) for _ in range(chance.choice((1, 2)))]

        def case(moments=moments) -> None:
            data_dir, found = scratch / "decoded", scratch / "found.npy"
            shutil.rmtree(data_dir, ignore_errors=True)
            for moment in moments:
                process = decode(folder, data_dir, found)
                time.sleep(moment)
                process.kill()
                process.communicate()
            finish([decode(folder, data_dir, found)])
            np.testing.assert_array_equal(np.load(found), np.load(scratch / "whole.npy"))

        yield f"decoding, SIGKILL after {' and '.join(f'{moment:.1f} s' for moment in moments)}", case


def draw_images(folder: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    for number in range(IMAGES):
        path = folder / str(number % 2) / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)).save(path)
    return folder


def decode(folder: Path, data_dir: Path, found: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", PROGRAM, *map(str, (folder, data_dir, found))]
    own = environment(PYTHONPATH=str(ROOT))
    return subprocess.Popen(command, cwd=ROOT, env=own, text=True, stderr=subprocess.PIPE)
