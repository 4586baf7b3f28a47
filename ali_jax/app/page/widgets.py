"""What the sections of the page are made of: images, wells that take an image, and work off the loop."""

import base64
import contextlib
import io
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
from nicegui import events, run, ui
from PIL import Image

from ali_jax.errors import UserError
from ali_jax.run import images

TYPES = "image/png, image/jpeg, image/webp, image/bmp"
MOST_BYTES = 50_000_000  # of a file that is dropped


def address(x: np.ndarray) -> str:
    """An image (H, W, 1 or 3), uint8 or in [0, 1], as a PNG within an address."""
    buffer = io.BytesIO()
    x = images.to_uint8(x)
    Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x).save(buffer, "png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


class Pixels(ui.element):
    """An image of the page, to be replaced by `show`; without the fading of NiceGUI's own."""

    def __init__(self, kind: str, alt: str):
        super().__init__("img")
        self.classes(f"pixels {kind}").props["alt"] = alt

    def show(self, x: np.ndarray) -> None:
        """Shows (H, W, C)."""
        self.props["src"] = address(x)


class Figure:
    """An image over a caption."""

    def __init__(self, alt: str, on_click: Callable[[], Any] | None = None):
        with ui.element("figure") as self._frame:
            with (
                ui.element("button").classes("pick").on("click", on_click)
                if on_click
                else contextlib.nullcontext()
            ):
                self.image = Pixels("", alt)
            with ui.element("figcaption"):
                self._caption = ui.label(alt)

    def show(self, x: np.ndarray, caption: str) -> None:
        """Shows (H, W, C)."""
        self._frame.set_visibility(True)
        self.image.show(x)
        self._caption.set_text(caption)

    def hide(self) -> None:
        """Shows nothing, until `show`."""
        self._frame.set_visibility(False)


class Well:
    """An image that another can be dropped on, or chosen for by a click."""

    def __init__(self, alt: str, on_drop: Callable[[bytes, str], Awaitable[None]]):
        async def take(event: events.UploadEventArguments) -> None:
            event.sender.reset()
            if event.file.size() > MOST_BYTES:  # which a browser has refused; another program may not
                _refuse()
                return
            await on_drop(await event.file.read(), event.file.name)

        with ui.element("figure"):
            with ui.element("div").classes("well"):
                self.image = Pixels("", alt)
                upload = ui.upload(
                    on_upload=take, on_rejected=_refuse, auto_upload=True, max_file_size=MOST_BYTES
                )
                upload.props(f'accept="{TYPES}"')
            with ui.element("figcaption"):
                self._caption = ui.label("")

    def show(self, x: np.ndarray, caption: str) -> None:
        """Shows (H, W, C)."""
        self.image.show(x)
        self._caption.set_text(caption)


def _refuse() -> None:
    tell(UserError("This is no PNG, JPEG, WebP or BMP of less than 50 MB; drop one."))


def tell(error: UserError) -> None:
    """Shows the sentence of a mistake."""
    ui.notify(str(error), type="negative", multi_line=True, close_button=True, timeout=8000)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """A UserError of what is within is shown."""
    try:
        yield
    except UserError as error:
        tell(error)


class Latest:
    """Runs a function off the page's loop; of calls that come while it runs, the last one alone.

    So sliders stay quick however slow the networks are.
    """

    def __init__(self, work: Callable[[], Any], show: Callable[[Any], None]):
        self._work, self._show = work, show
        self._wanted = self._running = False

    async def __call__(self) -> None:
        """Works, and shows what comes of it, until it is of the newest state."""
        self._wanted = True
        if self._running:
            return
        self._running = True
        try:
            while self._wanted:
                self._wanted = False
                if (made := await run.io_bound(self._work)) is not None:  # None: the page is being closed
                    self._show(made)
        finally:
            self._running = False


def title(heading: str, explanation: str) -> None:
    """The head of a section."""
    with ui.element("div"):
        with ui.element("h2"):
            ui.label(heading)
        ui.label(explanation).classes("quiet")


def button(text: str, icon: str, on_click: Callable[[], Any]) -> ui.button:
    """A small button."""
    return ui.button(text, icon=icon, on_click=on_click).props(
        "outline dense no-caps size=sm padding='3px 8px'"
    )
