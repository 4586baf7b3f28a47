"""The section of one image: its reconstructions and its nearest neighbours."""

from collections.abc import Awaitable, Callable

import numpy as np
from nicegui import run, ui

from ali_jax.app.explorer import DRAWS, NEIGHBOURS, Explorer, Picture, View
from ali_jax.app.page import widgets


class Look:
    """An image, and what E and G make of it."""

    def __init__(self, explorer: Explorer, told: Callable[[], np.ndarray | None]):
        """`told` gives the attributes that the page's checkboxes say, of images that come without."""
        self._explorer, self._told = explorer, told
        self._picture = explorer.picture(0)
        self._shown: tuple[Picture, View] | None = None  # another one while `_picture` is being computed
        self.on_start: Callable[[np.ndarray, Picture], Awaitable[None]]
        self.on_end: Callable[[int, Picture], Awaitable[None]]
        self._build()

    def _build(self) -> None:
        with ui.element("section").classes("section").props('id="look"'):
            widgets.title(
                "An image",
                "Drop your own on the dashed one, or click it; it is brought to size as training images are.",
            )
            with ui.element("div").classes("look"):
                self._well = widgets.Well("the image", self.drop)
                self._through_mu = widgets.Figure("G(mu)")
                self._draws = [widgets.Figure(f"G(z), draw {number + 1}") for number in range(DRAWS)]
            self._errors = ui.label("").classes("quiet numbers q-my-sm")
            self._build_buttons()
            ui.label("Nearest neighbours by the distance of mu; click one to look at it.").classes(
                "quiet q-mt-md"
            )
            with ui.element("div").classes("neighbours"):
                self._neighbours = [
                    widgets.Figure(f"neighbour {k + 1}", lambda k=k: self._follow(k))
                    for k in range(NEIGHBOURS)
                ]

    def _build_buttons(self) -> None:
        with ui.element("div").classes("buttons"):
            widgets.button("Another image", "casino", self.another)
            widgets.button("Move from here", "tune", self._start)
            widgets.button("As left end", "first_page", lambda: self.on_end(0, self._picture))
            widgets.button("As right end", "last_page", lambda: self.on_end(1, self._picture))
            if self._explorer.frame.shape[2] == 1:  # dark on white paper, to a model of white on black
                widgets.button("Invert", "invert_colors", self._invert)

    async def drop(self, content: bytes, name: str) -> None:
        """Looks at a file's image."""
        with widgets.told():
            await self.look_at(await run.io_bound(self._explorer.read, content, name, self._told()))

    async def another(self) -> None:
        """Looks at any image of the gallery."""
        await self.look_at(
            self._explorer.picture(int(np.random.default_rng().integers(len(self._explorer.codes))))
        )

    async def look_at(self, picture: Picture) -> None:
        """Looks at a picture."""
        self._picture = picture
        await self.refresh()

    async def refresh(self) -> None:
        """Computes all that is shown."""
        picture = self._picture
        view = await run.io_bound(self._explorer.view, picture)
        # Not another picture in the meantime, nor the page being closed.
        if picture is self._picture and view is not None:
            self._show(picture, view)

    async def tell(self, attributes: np.ndarray) -> None:
        """Of a conditional model: an image that was dropped has other attributes."""
        if self._picture.row is None:
            await self.look_at(self._picture._replace(attributes=attributes))

    def _show(self, picture: Picture, view: View) -> None:
        self._shown = picture, view
        self._well.show(picture.x, picture.name)
        self._through_mu.show(view.through_mu, "G(mu)")
        for number, (figure, image) in enumerate(zip(self._draws, view.draws, strict=True), 1):
            figure.show(image, f"G(z), draw {number}")
        self._errors.set_text(
            f"Mean squared error: {view.error:.4f} through mu, {view.error_of_draws:.4f} through draws; "
            f"of the mean image {view.error_of_mean:.4f}."
        )
        for figure in self._neighbours[len(view.rows) :]:  # a small gallery has fewer
            figure.hide()
        for figure, row, distance in zip(self._neighbours, view.rows, view.distances, strict=False):
            kind = self._explorer.gallery.class_of(row)
            figure.show(
                self._explorer.gallery.x[row],
                f"{kind}, {distance:.2f} away" if kind else f"{distance:.2f} away",
            )

    async def _follow(self, place: int) -> None:
        if self._shown is None:
            return
        _, view = self._shown
        if place < len(view.rows):  # a click may come just as fewer are shown
            await self.look_at(self._explorer.picture(int(view.rows[place])))

    async def _start(self) -> None:
        if self._shown is not None:
            picture, view = self._shown
            await self.on_start(view.code, picture)

    async def _invert(self) -> None:
        x = self._picture.x
        inverted = 255 - x if x.dtype == np.uint8 else 1 - x
        await self.look_at(
            self._picture._replace(x=inverted, name=f"{self._picture.name}, inverted", row=None)
        )
