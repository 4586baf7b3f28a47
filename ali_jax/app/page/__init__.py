"""The page itself: the only place that imports NiceGUI."""

import contextlib
from collections.abc import Awaitable
from pathlib import Path

import numpy as np
from nicegui import app, ui
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ali_jax.app.explorer import Explorer, Picture
from ali_jax.app.page import widgets
from ali_jax.app.page.between import Between
from ali_jax.app.page.look import Look
from ali_jax.app.page.walk import Walk

STYLE = Path(__file__).parent / "style.css"


def serve(explorer: Explorer, name: str, port: int) -> None:
    """Serves the page, to this machine alone and at no other path, until Ctrl-C."""
    # A web page elsewhere may give this machine's address a name of its own, and ask under that.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])
    ui.page("/")(lambda: Page(explorer, name))
    app.on_startup(lambda: print(f"http://localhost:{port} (Ctrl-C ends it)", flush=True))
    with contextlib.suppress(KeyboardInterrupt):
        ui.run(
            host="127.0.0.1",
            port=port,
            title=f"{name} - ali_jax",
            show=False,
            reload=False,
            show_welcome_message=False,
        )


class Page:
    """The page of one visitor: its sections, and what they tell each other."""

    def __init__(self, explorer: Explorer, name: str):
        self._explorer = explorer
        ui.add_css(STYLE)
        ui.colors(primary="#2563eb")
        self._build_head(name)
        self._setting = False
        self._boxes: list[ui.checkbox] = []
        if explorer.conditional:
            self._build_attributes(explorer.picture(0))
        self._walk = Walk(explorer, self._told())
        self._look = Look(explorer, self._told)
        self._between = Between(explorer, self._told)
        self._look.on_start, self._look.on_end = self._start, self._between.set_end
        ui.timer(0, self._refresh, once=True)

    def _build_head(self, name: str) -> None:
        model = self._explorer.model
        generator = model.networks.generator
        with ui.element("header").classes("head"):
            with ui.element("h1"):
                ui.label(name)
            shape = "x".join(map(str, generator.x_shape))
            ui.label(
                f"Step {model.step:,}; images of {shape}, z of {generator.latent_dim} dimensions. "
                f"Directions and neighbours are of {self._explorer.gallery.source}."
            ).classes("quiet")

    def _build_attributes(self, picture: Picture) -> None:
        with ui.element("section").classes("section"):
            widgets.title("Attributes", "What G is told beside z, and E of images that you drop.")
            with ui.element("div").classes("attributes"):
                for column, value in zip(self._explorer.gallery.columns, picture.attributes, strict=True):
                    box = ui.checkbox(column, value=bool(value), on_change=self._changed).props("dense")
                    self._boxes.append(box)

    def _told(self) -> np.ndarray | None:
        """What the checkboxes say, (A,)."""
        return np.float32([box.value for box in self._boxes]) if self._boxes else None

    def _changed(self) -> Awaitable[None] | None:
        return None if self._setting else self._tell()

    async def _tell(self) -> None:
        await self._walk.tell(self._told())
        await self._look.tell(self._told())  # other boxes may have been clicked in the meantime

    async def _start(self, code: np.ndarray, picture: Picture) -> None:
        """The sliders, and the checkboxes, start at a picture."""
        self._setting = True  # all of them, before anything is computed
        for place, box in enumerate(self._boxes):
            box.set_value(bool(picture.attributes[place]))
        self._setting = False
        await self._walk.start_at(code, picture.name, picture.attributes)
        ui.run_javascript("document.getElementById('walk').scrollIntoView({behavior: 'smooth'})")

    async def _refresh(self) -> None:
        for section in (self._walk, self._look, self._between):
            await section.refresh()
