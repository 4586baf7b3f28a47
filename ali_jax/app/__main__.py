"""A page about a trained model: sliders along directions of z, images of one's own, the way between two.

    python -m ali_jax.app --model=mnist

prints the address of the page, which only this machine can open. --model is a model that comes with the
package, an exported file, or the workdir of a run. The page knows the images of --images, a data set (as in
--config.dataset) or the path of a folder or of a file of arrays; by default those that the model was trained
on, where they are on this machine, else samples of the model. Directions of z are those of their codes, and
neighbours are found among them.
"""

import importlib.util
import socket

from absl import flags

from ali_jax import examples, inference, pretrained
from ali_jax.app import gallery
from ali_jax.app.explorer import Explorer
from ali_jax.errors import UserError
from ali_jax.pretrained import weights
from ali_jax.run import command_line


def define_flags() -> None:
    """Which model to show, beside which images, and at which address."""
    flags.DEFINE_string("model", None, "A model that comes with the package, a file, or a workdir.")
    flags.DEFINE_string("images", None, "Images beside it; default: those it was trained on, or samples.")
    flags.DEFINE_string("split", None, "Of --images; default: what the model was trained on, or train.")
    flags.DEFINE_integer("most", 5000, "Images at most, evenly spaced in the split.", lower_bound=2)
    flags.DEFINE_integer("port", 8080, "Of the page's address.", lower_bound=1, upper_bound=65535)


def main(argv):
    """Serves the page until it is stopped."""
    command_line.refuse_words(argv)
    values = flags.FLAGS
    if not values.model:
        known = ", ".join(pretrained.names())
        raise UserError(
            f"Which model? Pass --model=NAME ({known}), the file of one, or the workdir of a run."
        )
    require_extra()
    require_port(values.port)
    data_dir = command_line.data_dir_alone()
    explorer = open_explorer(values.model, values.images, values.split, values.most, data_dir)
    from ali_jax.app import page

    page.serve(explorer, name_of(values.model), values.port)


def open_explorer(
    source: str, asked: str | None, split: str | None, most: int, data_dir: str | None
) -> Explorer:
    """A model and its images; see `gallery.load`.

    Raises:
      UserError: there is no such model, it has no encoder, or it is not of images.
    """
    config = pretrained.config_of(source)
    if len(config.model.x_shape) != 3:
        raise UserError(f"{source} is a model of points, not of images; pass the --model of a run on images.")
    if config.model.encoder is None:
        raise UserError(f"{source} is a plain GAN, which has no encoder; pass the --model of an ALI run.")
    if data_dir is not None:
        config.data_dir = data_dir
    model = inference.load(source)
    images = gallery.load(model, config, asked, split, most)
    print(f"{source}, beside {images.source}", flush=True)
    frame = examples.frame(config)
    return Explorer(model, images, frame, conditional=config.model.num_attributes > 0)


def name_of(source: str) -> str:
    """What the page calls a model: by its own name, that of its file or that of its workdir."""
    return pretrained.find(source).absolute().name.removesuffix(weights.SUFFIX)


def require_extra() -> None:
    """Raises UserError where NiceGUI is not installed."""
    if importlib.util.find_spec("nicegui") is None:
        raise UserError("The page needs NiceGUI; run `pip install nicegui`, or install ali_jax[app].")


def require_port(port: int) -> None:
    """Raises UserError where another program has the port, or nobody may."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise UserError(f"Port {port} cannot be used ({error.strerror}); pass another --port.") from None


if __name__ == "__main__":
    command_line.run(main, define_flags)
