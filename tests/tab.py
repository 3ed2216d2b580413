"""The LAYERSCOPE tab in a real Chromium, for the tests and the screenshots; records everything that goes wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlparse

from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Locator, Page, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT = 30_000
"""Milliseconds that any one action or expectation may take."""
expect.set_options(timeout=TIMEOUT)  # the context's own timeout does not reach expectations

# A violation of the content policy is an event, not a console message; this makes it one, in every frame.
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`content policy: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """One window with TensorBoard on the LAYERSCOPE tab."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        width: int = 1280,
        height: int = 800,
        scale: float = 1,
        scripts: Sequence[str] = (),
    ) -> None:
        """Open the window; ``scripts`` run in every frame before the page's own."""
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=scale, reduced_motion="reduce"
        )
        self.context.set_default_timeout(TIMEOUT)
        for script in (REPORT_VIOLATIONS, *scripts):
            self.context.add_init_script(script)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        """Console errors, uncaught exceptions, policy violations, failed answers, requests to other hosts."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._on_request(request.url, urlparse(url).netloc))
        self.page.on(
            "response",
            lambda answer: self.complaints.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
        )
        self.page.goto(url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text} ({message.location['url']})")

    def _on_request(self, asked: str, host: str) -> None:
        parsed = urlparse(asked)
        if parsed.scheme not in ("data", "blob") and parsed.netloc != host:
            self.complaints.append(f"request to another host: {asked}")

    @property
    def frame(self) -> FrameLocator:
        """The plugin's own document."""
        return self.page.frame_locator('iframe[src*="name=layerscope"]')

    def part(self, name: str) -> Locator:
        """A main part of the tab, by its test id."""
        return self.frame.get_by_test_id(name)

    def box(self, layer: str) -> Locator:
        """The box of a node in the structure."""
        return self.frame.locator(f'[data-node="{layer}"]')

    def boxes(self) -> set[str]:
        """Ids of all the boxes that are drawn now."""
        return set(self.frame.locator("[data-node]").evaluate_all("all => all.map((box) => box.dataset.node)"))

    def expand(self, layer: str) -> None:
        """Expand a collapsed module by keyboard, as anybody can."""
        self.box(layer).first.focus()
        self.page.keyboard.press("Space")
        expect(self.box(layer).first).to_have_attribute("data-expanded", "true")

    def fill(self, layer: str) -> str:
        """The colour that a box is painted with."""
        return self.box(layer).locator("rect.face").evaluate("box => getComputedStyle(box).fill")

    def ready(self) -> None:
        """Wait until the structure is laid out."""
        expect(self.frame.locator("[data-node]").first).to_be_visible()

    def close(self) -> None:
        """Close the window."""
        self.context.close()
