"""The section between two images."""

from collections.abc import Callable

import numpy as np
from nicegui import run, ui

from ali_jax.app.explorer import STEPS, Explorer, Picture
from ali_jax.app.page import widgets

SHOWN = 9  # of the images between, in the strip


class Between:
    """Two images, and G of the codes between theirs."""

    def __init__(self, explorer: Explorer, told: Callable[[], np.ndarray | None]):
        """`told` gives the attributes that the page's checkboxes say, of images that come without."""
        self._explorer, self._told = explorer, told
        self._ends = [explorer.picture(1), explorer.picture(len(explorer.codes) // 2)]
        self._frames: np.ndarray | None = None
        self._arc = False
        self._update = widgets.Latest(self._compute, self._show)
        self._build()

    def _build(self) -> None:
        with ui.element("section").classes("section").props('id="between"'):
            widgets.title("Between two images", "G of the codes between theirs; drop images on the ends.")
            with ui.element("div").classes("between"):
                first = self._build_end(0)
                with ui.element("div").classes("middle"):
                    self._middle = widgets.Pixels("big", "what is between")
                    self._slider = ui.slider(min=0, max=STEPS, step=1, value=STEPS // 2).props(
                        'aria-label="how far between"'
                    )
                self._wells = [first, self._build_end(1)]
            self._strip = []
            with ui.element("div").classes("strip q-mt-md"):
                for k in range(SHOWN):
                    with ui.element("button").classes("pick").on("click", lambda k=k: self._go(k)):
                        self._strip.append(widgets.Pixels("", f"{k} of {SHOWN - 1} parts of the way"))
            ui.toggle({False: "on a line", True: "on an arc"}, value=False, on_change=self._bend).props(
                "dense no-caps outline padding='2px 10px'"
            ).classes("q-mt-sm")
        self._slider.on_value_change(self._show_middle)

    def _build_end(self, side: int) -> widgets.Well:
        with ui.element("div"):
            well = widgets.Well(f"{('left', 'right')[side]} end", lambda *file: self.drop(side, *file))
            with ui.element("div").classes("buttons q-mt-sm"):
                widgets.button("Another", "casino", lambda: self.another(side))
        return well

    async def drop(self, side: int, content: bytes, name: str) -> None:
        """A file's image becomes an end."""
        with widgets.told():
            await self.set_end(side, await run.io_bound(self._explorer.read, content, name, self._told()))

    async def another(self, side: int) -> None:
        """Any image of the gallery becomes an end."""
        row = int(np.random.default_rng().integers(len(self._explorer.codes)))
        await self.set_end(side, self._explorer.picture(row))

    async def set_end(self, side: int, picture: Picture) -> None:
        """A picture becomes the left end, 0, or the right one, 1."""
        self._ends[side] = picture
        await self.refresh()

    async def refresh(self) -> None:
        """Computes all that is shown."""
        for well, picture in zip(self._wells, self._ends, strict=True):
            well.show(picture.x, picture.name)
        await self._update()

    async def _bend(self, event) -> None:
        self._arc = event.value
        await self._update()

    def _go(self, place: int) -> None:
        self._slider.set_value(place * STEPS // (SHOWN - 1))

    def _compute(self) -> np.ndarray:
        return self._explorer.between(*self._ends, arc=self._arc)

    def _show(self, frames: np.ndarray) -> None:
        self._frames = frames
        for k, pixels in enumerate(self._strip):
            pixels.show(frames[k * STEPS // (SHOWN - 1)])
        self._show_middle()

    def _show_middle(self) -> None:
        if self._frames is not None:
            self._middle.show(self._frames[int(self._slider.value)])
