"""The page's handlers without a browser: a simulated user of NiceGUI presses, drops and moves sliders."""

import asyncio
import io
import threading
import time

import explorers
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("nicegui", reason="the page needs NiceGUI (requirements/app.txt)")

from nicegui import ElementFilter, ui
from nicegui.elements.upload_files import SmallFileUpload
from nicegui.testing import user_simulation
from nicegui.testing.user_interaction import UserInteraction

from ali_jax.app import page
from ali_jax.app.explorer import PRINCIPAL, Explorer
from ali_jax.app.page import widgets
from ali_jax.app.page.look import Look
from ali_jax.app.page.walk import Walk
from ali_jax.app.page.widgets import address

PATIENCE = 120  # seconds, of a machine that does other things too
NOW, THROUGH_MU, MIDDLE = "what G makes of z", "G(mu)", "what is between"  # images, by what they show
digits, faces = explorers.digits, explorers.faces  # fixtures


class Visitor:
    """What a person sees of the page and does there."""

    def __init__(self, user):
        self.user = user

    def all(self, kind: type) -> list:
        """All elements of a kind, from top to bottom."""
        with self.user.client:
            return [*ElementFilter(kind=kind)]

    def image(self, alt: str) -> str:
        """An image's address, which is its content; "" where there is none yet."""
        (found,) = [each for each in self.all(widgets.Pixels) if each.props["alt"] == alt]
        return found.props.get("src", "")

    def text(self) -> str:
        """All texts."""
        return "\n".join(label.text for label in self.all(ui.label))

    def click(self, kind: type, text: str, which: int = 0) -> None:
        """Clicks a button or a checkbox."""
        element = [each for each in self.all(kind) if each.text == text][which]
        UserInteraction(self.user, {element}, None).click()

    async def drop(self, content: bytes, name: str, well: int = 0) -> None:
        """Drops a file."""
        with self.user.client:
            await self.all(ui.upload)[well].handle_uploads([SmallFileUpload(name, "", content)])

    async def changes(self, *alts: str, by) -> None:
        """Waits until these images are others, after `by` was called."""
        before = [self.image(alt) for alt in alts]
        done = by()
        if asyncio.iscoroutine(done):
            await done
        await until(lambda: all(self.image(alt) != old for alt, old in zip(alts, before, strict=True)))


async def until(holds) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "the page did not come to that"
        await asyncio.sleep(0.01)


def visit(explorer, act) -> None:
    """Runs act(visitor) on the open page."""

    async def run() -> None:
        async with user_simulation(root=lambda: page.Page(explorer, "tiny")) as user:
            await user.open("/")
            visitor = Visitor(user)
            await until(lambda: visitor.image(MIDDLE))
            await act(visitor)

    asyncio.run(run())


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "grey").save(buffer, "png")
    return buffer.getvalue()


def test_sliders_move_the_image_and_reset_brings_it_back(digits):
    async def act(visitor):
        first, slider = visitor.image(NOW), visitor.all(ui.slider)[0]
        await visitor.changes(NOW, by=lambda: slider.set_value(2.0))
        code = digits.move(digits.draw(0), {(PRINCIPAL, 0): 2.0})
        assert visitor.image(NOW) == address(digits.decode(code))
        visitor.click(ui.button, "Reset")
        await until(lambda: visitor.image(NOW) == first)
        assert slider.value == 0
        low = f"{PRINCIPAL} 1 at -3"
        await visitor.changes(NOW, by=lambda: visitor.click(ui.button, "Another sample"))
        await until(lambda: visitor.image(NOW) == address(digits.decode(digits.draw(1))))
        ends = digits.ends(digits.draw(1))
        await until(lambda: visitor.image(low) == address(ends[PRINCIPAL][0, 0]))
        assert "From sample 2." in visitor.text()

    visit(digits, act)


def test_what_is_saved_is_the_code_and_its_image(digits):
    async def act(visitor):
        visitor.all(ui.slider)[1].set_value(-1.0)
        visitor.click(ui.button, "Save z")
        response = await visitor.user.download.next(timeout=PATIENCE)
        with np.load(io.BytesIO(response.content)) as saved:
            z, x = saved["z"], saved["x"]
        np.testing.assert_allclose(z[0], digits.move(digits.draw(0), {(PRINCIPAL, 1): -1.0}), atol=1e-6)
        np.testing.assert_allclose(x[0], digits.decode(z[0]), atol=1e-6)

    visit(digits, act)


def test_an_image_that_is_dropped_is_looked_at_and_sliders_start_from_it(digits):
    async def act(visitor):
        assert "60 of the 1,500 images of digits, split train" in visitor.text()
        await visitor.changes("the image", THROUGH_MU, by=lambda: visitor.drop(png(), "mine.png"))
        picture = digits.read(png(), "mine.png")
        view = digits.view(picture)
        assert visitor.image("the image") == address(picture.x)
        assert visitor.image(THROUGH_MU) == address(view.through_mu)
        assert f"{view.error:.4f} through mu" in visitor.text() and "mine.png" in visitor.text()
        assert visitor.image("neighbour 1") == address(digits.gallery.x[view.rows[0]])
        visitor.click(ui.button, "Move from here")
        await until(lambda: visitor.image(NOW) == address(digits.decode(view.code)))
        await visitor.changes("the image", by=lambda: visitor.click(ui.button, "Invert"))
        assert visitor.image("the image") == address(255 - picture.x)

    visit(digits, act)


def test_sliders_start_from_the_image_that_is_seen(digits, monkeypatch):
    """While another one is being computed, that is the one before."""
    view, computed = digits.view, threading.Event()

    def slow(picture):
        if picture.name == "mine.png":
            computed.wait(PATIENCE)
        return view(picture)

    async def act(visitor):
        monkeypatch.setattr(digits, "view", slow)
        dropping = asyncio.ensure_future(visitor.drop(png(), "mine.png"))
        await asyncio.sleep(0.1)
        visitor.click(ui.button, "Move from here")
        await until(lambda: visitor.image(NOW) == address(digits.decode(view(digits.picture(0)).code)))
        assert "From image 1, class" in visitor.text()
        await visitor.changes("the image", by=computed.set)
        await dropping
        visitor.click(ui.button, "Move from here")
        await until(lambda: "From mine.png." in visitor.text())

    visit(digits, act)


def test_of_a_small_gallery_there_are_fewer_neighbours(digits):
    known = digits.gallery._replace(x=digits.gallery.x[:3], label=digits.gallery.label[:3])
    few = Explorer(digits.model, known, digits.frame)

    def seen(visitor) -> int:
        """Neighbours that are shown: an image is in its figure's button."""
        images = [each for each in visitor.all(widgets.Pixels) if each.props["alt"].startswith("neighbour")]
        return sum(each.parent_slot.parent.parent_slot.parent.visible for each in images)

    async def act(visitor):
        await until(lambda: seen(visitor) == 2)  # but itself
        await visitor.changes("the image", by=lambda: visitor.drop(png(), "mine.png"))
        assert seen(visitor) == 3
        await visitor.changes("the image", by=lambda: visitor.click(ui.button, "Another image"))
        assert seen(visitor) == 2

    visit(few, act)


def test_a_file_that_is_too_large_is_refused_by_the_server_too(digits, monkeypatch):
    monkeypatch.setattr(widgets, "MOST_BYTES", 10)

    async def act(visitor):
        before = visitor.image("the image")
        await visitor.drop(png(), "mine.png")
        await until(lambda: visitor.user.notify.messages)
        assert "of less than 50 MB" in visitor.user.notify.messages[0]
        assert visitor.image("the image") == before

    visit(digits, act)


def test_what_is_no_image_is_told_and_changes_nothing(digits):
    async def act(visitor):
        before = visitor.image("the image")
        await visitor.drop(b"no image", "notes.png")
        await until(lambda: visitor.user.notify.messages)
        assert "notes.png cannot be read as an image" in visitor.user.notify.messages[0]
        assert visitor.image("the image") == before

    visit(digits, act)


def test_both_ends_of_the_way_can_be_replaced(digits):
    async def act(visitor):
        await visitor.changes("left end", by=lambda: visitor.click(ui.button, "As left end"))
        await visitor.changes("right end", by=lambda: visitor.drop(png(), "mine.png", well=2))
        frames = digits.between(digits.picture(0), digits.read(png(), "mine.png"))
        await until(lambda: visitor.image(MIDDLE) == address(frames[len(frames) // 2]))
        slider = visitor.all(ui.slider)[-1]
        await visitor.changes(MIDDLE, by=lambda: slider.set_value(len(frames) - 1))
        assert visitor.image(MIDDLE) == address(frames[-1]) == visitor.image("8 of 8 parts of the way")

    visit(digits, act)


def test_attributes_are_checkboxes_that_start_at_those_of_the_image(faces):
    async def act(visitor):
        boxes = visitor.all(ui.checkbox)
        assert [box.value for box in boxes] == faces.gallery.attributes[0].astype(bool).tolist()
        looked_at = visitor.image(THROUGH_MU)
        await visitor.changes(NOW, by=lambda: visitor.click(ui.checkbox, "attribute 3"))
        told = np.float32(faces.gallery.attributes[0])
        told[3] = 1 - told[3]
        assert visitor.image(NOW) == address(faces.decode(faces.draw(0), told))
        assert visitor.image(THROUGH_MU) == looked_at, "an image of the data set keeps its own"
        visitor.click(ui.button, "Move from here")
        await until(lambda: visitor.image(NOW) == looked_at)
        assert boxes[3].value == bool(faces.gallery.attributes[0, 3])
        await visitor.changes(THROUGH_MU, by=lambda: visitor.drop(png(), "mine.png"))
        await visitor.changes(THROUGH_MU, by=lambda: visitor.click(ui.checkbox, "attribute 5"))

    visit(faces, act)


def test_the_last_of_boxes_that_are_clicked_at_once_is_told_last(faces, monkeypatch):
    """The sliders are still at the first click when the second one has gone through."""
    walked, told = [], []

    async def walk(self, attributes):
        walked.append(attributes)
        if len(walked) == 1:
            await until(lambda: told)

    async def look(self, attributes):
        told.append(attributes)

    monkeypatch.setattr(Walk, "tell", walk)
    monkeypatch.setattr(Look, "tell", look)

    async def act(visitor):
        visitor.click(ui.checkbox, "attribute 3")
        await until(lambda: walked)
        visitor.click(ui.checkbox, "attribute 5")
        await until(lambda: len(told) == 2)
        np.testing.assert_array_equal(told[-1], [box.value for box in visitor.all(ui.checkbox)])

    visit(faces, act)
