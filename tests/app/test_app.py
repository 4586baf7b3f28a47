"""`python -m ali_jax.app`: what it refuses in a sentence, and that it serves the page to a real browser."""

import contextlib
import http.client
import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import load_config, make_tiny_config
from helpers import ROOT, environment, free_port
from PIL import Image

from ali_jax import pretrained
from ali_jax.app import __main__ as program
from ali_jax.errors import UserError

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SWITCHES = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --window-size=1200,1600""".split()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], r"Which model\? Pass --model=NAME \(.*mnist"),
        (["mnist"], r"'mnist' is not a flag"),
        (["--model=nowhere"], "nowhere is no workdir, no file of ali_jax.export and no model"),
    ],
)
def test_a_command_line_without_a_model_is_one_sentence(in_process, flags, words):
    with pytest.raises(UserError, match=words) as error:
        in_process(program, *flags, f"--port={free_port()}")
    assert "\n" not in str(error.value)


def test_a_port_that_is_taken_is_told_before_anything_is_loaded(in_process):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"Port {port} cannot be used \(.*\); pass another --port"):
            in_process(program, "--model=nowhere", f"--port={port}")


def test_a_missing_extra_is_one_sentence(in_process, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs NiceGUI; run `pip install nicegui`"):
        in_process(program, "--model=digits")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (("mnist_semi_supervised", "feature_matching"), "a plain GAN, which has no encoder"),
        (("mixture",), "a model of points"),
    ],
)
def test_a_model_that_the_page_cannot_show_is_told(monkeypatch, config, words):
    monkeypatch.setattr(pretrained, "config_of", lambda source: load_config(*config))
    with pytest.raises(UserError, match=f"runs/x is .*({words}).*; pass "):
        program.open_explorer("runs/x", None, None, 100, None)


def test_images_are_looked_for_where_the_command_line_says(tiny_workdir, tmp_path, monkeypatch, capsys):
    config = make_tiny_config()
    config.dataset = "mnist"
    monkeypatch.setattr(pretrained, "config_of", lambda source: config)
    program.open_explorer(tiny_workdir, None, None, 100, str(tmp_path))
    assert f"1,000 samples of the model (mnist is not in {tmp_path})" in capsys.readouterr().out


def test_the_page_is_called_as_the_model_is(tmp_path, monkeypatch):
    (tmp_path / "rate_0.5").mkdir()
    (tmp_path / "mine.safetensors").touch()
    monkeypatch.chdir(tmp_path / "rate_0.5")
    names = [
        program.name_of(source)
        for source in ("mnist", "../mine.safetensors", str(tmp_path / "rate_0.5"), ".")
    ]
    assert names == ["mnist", "mine", "rate_0.5", "rate_0.5"]


@pytest.fixture
def address(tmp_path):
    """Of a page that a process of its own serves."""
    pytest.importorskip("nicegui", reason="the page needs NiceGUI (requirements/app.txt)")
    port = free_port()
    command = [sys.executable, "-m", "ali_jax.app", "--model=digits", f"--port={port}", "--most=50"]
    env = environment(PYTHONPATH=str(ROOT), HOME=str(tmp_path))
    env.pop("PYTEST_CURRENT_TEST")  # by which NiceGUI knows a test, and runs otherwise
    served = subprocess.Popen(command, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE)
    try:
        assert "50 of the 1,500 images of digits" in served.stdout.readline()
        assert served.stdout.readline() == f"http://localhost:{port} (Ctrl-C ends it)\n"
        yield f"http://localhost:{port}"
    finally:
        served.send_signal(signal.SIGINT)
        assert served.wait(120) == 0
    assert not [path for path in tmp_path.iterdir() if path.name not in (".cache", "x.png", "profile")]


def test_the_page_is_at_its_own_address_alone(address):
    def status(path: str, **headers) -> int:
        with contextlib.suppress(ConnectionRefusedError):
            return ask(path, headers)
        time.sleep(0.1)  # the address is said a moment before it is open
        return status(path, **headers)

    def ask(path: str, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=120)
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status

    assert status("/") == 200 and status("/", Host=address.replace("localhost", "127.0.0.1")[7:]) == 200
    assert status("/", Host="elsewhere.example") == 400
    assert status("/nowhere") == 404


@pytest.fixture
def browser(tmp_path):
    """A headless Chromium that can reach nothing but this machine."""
    if not (BROWSER and DRIVER):
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for switch in [*SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.mark.slow  # it starts a program and a browser
def test_a_browser_shows_the_page_and_its_controls_work(address, browser, tmp_path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    def find(css: str):
        return browser.find_element("css selector", css)

    def changes(css: str, act) -> None:
        before = find(css).get_attribute("src")
        act()
        WebDriverWait(browser, 60).until(lambda _: find(css).get_attribute("src") not in (before, "", None))

    browser.get(address)
    assert browser.title.endswith("ali_jax")
    WebDriverWait(browser, 60).until(lambda _: find("#between img.big").get_attribute("src"))
    slider = find("#walk .q-slider")
    quarter = ActionChains(browser).move_to_element_with_offset(slider, slider.size["width"] // 4, 0).click()
    changes("#walk img.big", quarter.perform)
    slider = find("#walk .q-slider")
    assert float(slider.get_attribute("aria-valuenow")) == pytest.approx(1.5, abs=0.2)
    Image.new("RGB", (40, 30), "white").save(tmp_path / "x.png")
    changes("#look .well img", lambda: find("#look input[type=file]").send_keys(str(tmp_path / "x.png")))
    assert find("#look figcaption").text == "x.png"
    changes("#between img.big", lambda: find("#between .strip button").click())
    # Nothing that was loaded came from elsewhere, nothing failed, and nothing is wider than the window.
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
    assert len(loaded) > 10 and not [url for url in loaded if not url.startswith((address, "data:"))]
    assert not [row for row in browser.get_log("browser") if row["level"] == "SEVERE"]
    browser.set_window_size(500, 900)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
