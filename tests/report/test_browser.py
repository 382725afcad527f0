"""The page in a real browser: it is drawn, and it asks the network for nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSERS_OWN = ("google.com", "googleapis.com", "gvt1.com")
"""Whom the browser itself asks for the time and for updates; names are not resolved, so none is reached."""
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    return found


@pytest.mark.browser
def test_the_page_is_drawn_and_asks_for_nothing(browser: str, reported: Path, tmp_path: Path) -> None:
    pixels, hosts = opened(browser, reported / "report.html", tmp_path, height=6000)
    assert pixels.shape[:2] == (6000, 1440)
    for part in np.array_split(pixels, 8):  # every screenful holds something
        assert part.std() > 0.01
    colourful = pixels.max(axis=2) - pixels.min(axis=2) > 0.4  # and more than text: the lines of figures
    assert colourful.mean() > 0.002
    assert not hosts


@pytest.mark.browser
def test_a_page_that_asks_for_something_would_be_caught(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "asking.html"
    page.write_text('<img src="http://127.0.0.1:9/picture.png">', encoding="utf-8")
    pixels, hosts = opened(browser, page, tmp_path, height=600)
    assert hosts == {"127.0.0.1"}
    assert pixels.std() < 0.05


MEASURE = """<script>
const width = chosen => [...document.querySelectorAll(chosen)].map(e => e.getBoundingClientRect().width);
document.title = JSON.stringify({
  page: document.documentElement.scrollWidth, cells: width(".claims tbody td"), pictures: width("figure img"),
});
</script>"""


@pytest.mark.browser
@pytest.mark.parametrize(("width", "narrowest_cell"), [(500, 400), (900, 120), (1400, 150)])
def test_every_width_shows_whole_words_and_no_page_wider_than_itself(
    browser: str, reported: Path, tmp_path: Path, width: int, narrowest_cell: int
) -> None:
    page = (reported / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<meta http-equiv=[^>]*>", "", page, count=1)  # for the script that measures
    (tmp_path / "page.html").write_text(page.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    command = [
        browser,
        *OPTIONS,
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},1000",
        "--dump-dom",
        (tmp_path / "page.html").as_uri(),
    ]
    drawn = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout.decode()
    title = re.search(r"<title>(.*?)</title>", drawn)
    assert title is not None
    found = json.loads(title.group(1))
    assert found["page"] <= width
    assert min(found["cells"]) >= narrowest_cell
    assert min(found["pictures"]) > 500  # on a phone they are scrolled, not shrunk


def opened(browser: str, page: Path, folder: Path, *, height: int) -> tuple[Any, set[str]]:
    """The page's screenshot, (height, 1440, 3) in 0…1, and the hosts that were asked for anything."""
    picture, log = folder / "page.png", folder / "network.json"
    command = [
        browser,
        *OPTIONS,
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        f"--window-size=1440,{height}",
        f"--screenshot={picture}",
        page.as_uri(),
    ]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    asked = set(re.findall(r'"url":"(?:https?|wss?|ftp)://([^/:"]+)', log.read_text(encoding="utf-8")))
    own = {host for host in asked if host.endswith(BROWSERS_OWN)}
    return matplotlib.image.imread(picture)[..., :3], asked - own
