"""The page at `/`, in a real browser: a picture in, bars out, nothing asked of anyone else."""

import base64
import json

import numpy as np
import pytest
from browser import Browser, chromium
from server_tools import SIDE, Server, encoded, save_tiny

pytest.importorskip("fastapi")
if chromium() is None:
    pytest.skip("needs Chromium (Debian: apt-get install chromium)", allow_module_level=True)

ANSWERS = "document.querySelectorAll('#answers > li')"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "colours"
    save_tiny(folder, 3)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    green = np.zeros((SIDE, SIDE, 3), "uint8")
    green[..., 1] = 255
    file = tmp_path_factory.mktemp("pictures") / "green.png"
    file.write_bytes(encoded(green))
    return file


@pytest.fixture
def page(server):
    with Browser() as browser:
        browser.open(f"http://127.0.0.1:{server.port}/")
        browser.wait("document.getElementById('version').textContent.trim() != ''")
        yield browser
        assert not browser.errors
        own = (f"http://127.0.0.1:{server.port}/", "blob:", "data:")
        assert all(url.startswith(own) for url in browser.requests)


def test_a_chosen_picture_gets_bars(page, picture):
    assert page.run("document.getElementById('version').textContent") == "version 3"
    page.choose("#file", picture)
    page.wait(f"{ANSWERS}.length == 1")
    assert page.run("document.querySelector('#answers h2').textContent") == "green"
    names = page.run("[...document.querySelectorAll('dt span:first-child')].map(e=>e.textContent)")
    assert names[0] == "green"
    assert sorted(names) == sorted(["red", "green", "blü"])
    widths = page.run("[...document.querySelectorAll('dd div')].map(e=>parseFloat(e.style.width))")
    assert widths[0] == pytest.approx(100 * np.exp(5) / (np.exp(5) + 2), abs=0.1)
    assert widths == sorted(widths, reverse=True)
    assert "ms" in page.run("document.getElementById('message').textContent")
    page.wait("document.querySelector('#answers img').complete")
    assert page.run("document.querySelector('#answers img').naturalWidth") == SIDE


def test_a_dropped_picture_gets_bars(page, picture):
    data = base64.b64encode(picture.read_bytes()).decode()
    page.run(
        f"(() => {{ const raw = Uint8Array.from(atob('{data}'), c => c.charCodeAt(0));"
        "const list = new DataTransfer();"
        "list.items.add(new File([raw], 'green.png', {type: 'image/png'}));"
        "document.getElementById('drop').dispatchEvent(new DragEvent('drop',"
        "{dataTransfer: list, bubbles: true, cancelable: true})); })()"
    )
    page.wait(f"{ANSWERS}.length == 1")
    assert page.run("document.querySelector('#answers h2').textContent") == "green"


def test_what_is_no_picture_is_said_and_the_page_goes_on(page, picture, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    page.choose("#file", text)
    page.wait("document.getElementById('message').className == 'bad'")
    assert "no picture" in page.run("document.getElementById('message').textContent")
    page.errors.clear()  # the browser logs the status 400 of the reply
    page.choose("#file", picture)
    page.wait(f"{ANSWERS}.length == 1")
    assert page.run("document.getElementById('message').className") == ""


def test_the_keyboard_reaches_the_field_and_its_ring_is_seen(page):
    page.press("Tab")
    assert page.run("document.activeElement.id") == "file"
    style = "getComputedStyle(document.getElementById('drop')).outlineStyle"
    assert page.run(style) == "solid"
    assert page.run("document.getElementById('message').getAttribute('role')") == "status"
    assert page.run("document.documentElement.lang") == "en"


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_it_whole_in_light_and_dark(page, picture, dark):
    page.resize(320, 640, dark=dark)
    page.choose("#file", picture)
    page.wait(f"{ANSWERS}.length == 1")
    assert page.run("document.documentElement.scrollWidth") <= 320
    ink, paper = page.run(
        "['color', 'backgroundColor'].map(key => getComputedStyle(document.body)[key])"
    )
    assert contrast(ink, paper) > 7
    assert luminance(paper) < 0.05 if dark else luminance(paper) > 0.9
    bar, track = page.run(
        "['dd div', 'dd'].map(s => getComputedStyle(document.querySelector(s)).backgroundColor)"
    )
    assert contrast(bar, track) > 3


def luminance(colour):
    """Relative luminance of `rgb(r, g, b)`, WCAG 2.2."""
    values = [int(v) / 255 for v in colour.split("(")[1].rstrip(")").split(",")[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(first, second):
    high, low = sorted([luminance(first), luminance(second)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_page_asks_for_the_key_when_the_server_does(folder, picture):
    with Server(folder, env={"KCNN_API_KEY": "sesame"}) as server, Browser() as page:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.choose("#file", picture)
        page.wait("!document.getElementById('key-line').hidden")
        page.run(f"document.getElementById('key').value = {json.dumps('sesame')}")
        page.choose("#file", picture)
        page.wait(f"{ANSWERS}.length == 1")
