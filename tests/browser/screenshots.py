"""Makes the screenshots of README.md from the demo: ``make screenshots``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser

import serving
from layerscope import demo
from tab import Tab, chromium

TARGET = Path(__file__).parents[2] / "examples" / "screenshots"
# Name -> (width, height, dark, state of the tab).
SHOTS: dict[str, tuple[int, int, bool, dict[str, str]]] = {
    "overview": (1440, 900, False, {"step": "50"}),
    "layer": (1440, 1900, False, {"step": "300", "layer": "fc"}),
    "comparison": (1440, 900, False, {"step": "300", "compareStep": "25", "layer": "stage2.1.conv2"}),
    "dark": (1440, 900, True, {"step": "75", "layer": "stage2.1.conv2"}),
}


def shoot(browser: Browser, url: str, name: str) -> None:
    width, height, dark, state = SHOTS[name]
    address = f"{url}{'?darkMode=true' if dark else ''}#layerscope"
    address += "".join(f"&p.layerscope.{key}={quote(value)}" for key, value in state.items())
    tab = Tab(browser, address, width=width, height=height, scale=1.5)
    tab.ready()
    tab.page.wait_for_timeout(2500)
    tab.page.screenshot(path=TARGET / f"{name}.png")
    tab.close()
    if tab.complaints:
        sys.exit("\n".join(tab.complaints))


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        logdir = Path(scratch) / "runs"
        demo.train(logdir / "digits")
        with serving.serving(logdir, Path(scratch) / "log") as server, chromium() as browser:
            server.wait(lambda: b"maximization" in server.get("tags", run="digits").body)
            for name in sys.argv[1:] or SHOTS:
                shoot(browser, server.url, name)
                print(TARGET / f"{name}.png")


if __name__ == "__main__":
    main()
