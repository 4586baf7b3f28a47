"""The section of sliders along directions of z."""

import io
from collections.abc import Awaitable

import numpy as np
from nicegui import events, ui

from ali_jax.app.explorer import PRINCIPAL, REACH, Explorer
from ali_jax.app.page import widgets

KINDS = {
    PRINCIPAL: "Of the codes of images, in standard deviations; those that change the image most come first.",
    "classes": "From the mean code of all other classes towards that of a class.",
    "attributes": "From the mean code of images without an attribute towards that of images with it.",
}


class Walk:
    """The code that sliders start from, where they are, and the image that G makes there."""

    def __init__(self, explorer: Explorer, attributes: np.ndarray | None):
        self._explorer, self._attributes = explorer, attributes
        self._seed = 0
        self._start, self._from = explorer.draw(0), "sample 1"
        self._amounts: dict[tuple[str, int], float] = {}
        self._sliders: dict[tuple[str, int], ui.slider] = {}
        self._ends: dict[str, list[tuple[widgets.Pixels, widgets.Pixels]]] = {}
        self._update = widgets.Latest(self._compute, self._show)
        self._update_ends = widgets.Latest(self._compute_ends, self._show_ends)
        self._build()

    # --- The page's side ------------------------------------------------------------------------------

    def _build(self) -> None:
        with ui.element("section").classes("section").props('id="walk"'):
            widgets.title(
                "Directions of z", "Small images: what G makes at either end of a slider, the others at 0."
            )
            with ui.element("div").classes("walk"):
                with ui.element("div").classes("stays"):
                    self._build_image()
                with ui.element("div"):
                    self._build_groups()

    def _build_image(self) -> None:
        self._image = widgets.Pixels("big", "what G makes of z")
        self._caption = ui.label("").classes("quiet numbers q-my-sm")
        with ui.element("div").classes("buttons"):
            widgets.button("Reset", "restart_alt", self.reset)
            widgets.button("Another sample", "casino", self.sample)
            widgets.button("Save z", "download", self.save)

    def _build_groups(self) -> None:
        titles = list(self._explorer.directions)
        with ui.tabs().props("dense no-caps align=left inline-label") as tabs:
            for title in titles:
                ui.tab(title)
        with ui.tab_panels(tabs, value=titles[0], animated=False, keep_alive=True):
            for title in titles:
                with ui.tab_panel(title):
                    self._build_sliders(title)

    def _build_sliders(self, title: str) -> None:
        ui.label(KINDS[title]).classes("quiet q-pt-sm")
        self._ends[title] = []
        with ui.element("div").classes("sliders"):
            for place, direction in enumerate(self._explorer.directions[title]):
                name = f"{title} {direction.name}"
                with ui.element("div").classes("slide"):
                    ui.label(direction.name).tooltip(f"1 changes pixels by {direction.change:.3f} (RMS)")
                    low = widgets.Pixels("end", f"{name} at -{REACH:g}")
                    slider = ui.slider(min=-REACH, max=REACH, step=0.05, value=0.0)
                    slider.props("track-color=grey-4").props["aria-label"] = name
                    high = widgets.Pixels("end", f"{name} at {REACH:g}")
                    ui.label().classes("numbers").bind_text_from(slider, "value", "{:+.2f}".format)
                slider.on_value_change(lambda event, at=(title, place): self._slide(at, event))
                self._sliders[title, place] = slider
                self._ends[title].append((low, high))

    # --- What can be done -----------------------------------------------------------------------------

    def _slide(self, at: tuple[str, int], event: events.ValueChangeEventArguments) -> Awaitable[None]:
        self._amounts[at] = float(event.value)
        return self._update()

    async def reset(self) -> None:
        """All sliders to 0."""
        self._amounts.clear()
        for slider in self._sliders.values():
            slider.set_value(0.0)
        await self._update()

    async def sample(self) -> None:
        """Starts from another draw of z."""
        self._seed += 1
        await self.start_at(self._explorer.draw(self._seed), f"sample {self._seed + 1}", self._attributes)

    async def start_at(self, code: np.ndarray, name: str, attributes: np.ndarray | None) -> None:
        """Starts from a code (n,), with the sliders at 0."""
        self._start, self._from, self._attributes = code, name, attributes
        await self.reset()
        await self._update_ends()

    async def tell(self, attributes: np.ndarray) -> None:
        """Of a conditional model: G is told other attributes."""
        self._attributes = attributes
        await self.refresh()

    def save(self) -> None:
        """A file of z and of what G makes of it."""
        code, image = self._compute()
        told = {} if self._attributes is None else {"attributes": self._attributes[None]}
        buffer = io.BytesIO()
        np.savez(buffer, z=code[None], x=image[None], **told)
        ui.download.content(buffer.getvalue(), "z.npz")

    async def refresh(self) -> None:
        """Computes all that is shown."""
        await self._update()
        await self._update_ends()

    # --- What is computed -----------------------------------------------------------------------------

    def _compute(self) -> tuple[np.ndarray, np.ndarray]:
        code = self._explorer.move(self._start, dict(self._amounts))
        return code, self._explorer.decode(code, self._attributes)

    def _show(self, computed: tuple[np.ndarray, np.ndarray]) -> None:
        code, image = computed
        self._image.show(image)
        low, high = self._explorer.usual_length
        length = np.linalg.norm(code)
        self._caption.set_text(
            f"From {self._from}. |z| is {length:.1f}; of images mostly {low:.1f} to {high:.1f}."
        )

    def _compute_ends(self) -> dict[str, np.ndarray]:
        return self._explorer.ends(self._start, self._attributes)

    def _show_ends(self, ends: dict[str, np.ndarray]) -> None:
        for title, pairs in self._ends.items():
            for pair, images in zip(pairs, ends[title], strict=True):
                for pixels, image in zip(pair, images, strict=True):
                    pixels.show(image)
