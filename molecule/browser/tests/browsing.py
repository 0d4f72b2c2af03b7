"""Windows of a browser that resolves Harbour's name to the host, and assertions on each page."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    Response,
    expect,
)

NAME = "harbour.test"
SITE = f"https://{NAME}"
NARROW, WIDE = 360, 1280  # pixels: a small phone, a laptop
HEIGHT = {NARROW: 740, WIDE: 800}
# Milliseconds. The machine is slow while other scenarios create hosts, and no test here measures time.
TIMEOUT = 60_000
expect.set_options(timeout=TIMEOUT)
# Chromium of Debian, or Chrome of a CI runner.
PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Equal screenshots on all machines.
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
]
# Reports violations of the Content-Security-Policy in the console, also with JavaScript disabled.
REPORT = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} forbids ${event.blockedURI} ${event.sample}`))"""


@dataclass
class Endpoint:
    """The address of the host, and the file of the CA that signed its certificate."""

    address: str
    port: int
    ca: str

    def create_home(self, home: Path) -> Path:
        """Create a home folder in which Chromium trusts the lab's CA, and return its path."""
        store = home / ".pki/nssdb"
        store.mkdir(parents=True)
        for arguments in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "lab", "-i", self.ca]):
            subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)
        return home

    def launch(self, playwright: Playwright, home: Path) -> Browser:
        """Launch Chromium. Harbour's name resolves to the host, and no other name resolves."""
        assert PROGRAM, "expected Chromium on this machine: bin/setup browser installs it"
        rules = f"MAP {NAME} {self.address}:{self.port}, MAP * ~NOTFOUND"
        environment = {**os.environ, "HOME": str(home), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
        return playwright.chromium.launch(
            executable_path=PROGRAM, args=[*ARGUMENTS, f"--host-resolver-rules={rules}"], env=environment
        )


@dataclass
class Visit:
    """A window of the browser, and the faults of its pages."""

    context: BrowserContext
    script: bool = True
    faults: list[str] = field(default_factory=list)
    # Error statuses that the test expects of pages.
    expected_statuses: set[int] = field(default_factory=set)
    # Paths of requests by scripts with the same expected statuses.
    expected_paths: set[str] = field(default_factory=set)
    releases: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.add_init_script(REPORT)
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))
        self.context.on("requestfailed", self._failed)
        self.context.on("response", self._response)
        self.context.set_default_timeout(TIMEOUT)

    def _console(self, message: ConsoleMessage) -> None:
        # _response checks the status of each response.
        error_status = "the server responded with a status of" in message.text
        if message.type in ("error", "warning") and not error_status:
            self.faults.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        # The browser aborts requests of a page when the test opens the next page.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if "x-release" in response.headers:
            self.releases.append(response.headers["x-release"])
        expected = (
            response.request.is_navigation_request() or urlsplit(response.url).path in self.expected_paths
        )
        if response.status >= 400 and not (expected and response.status in self.expected_statuses):
            self.faults.append(f"status: {response.url} {response.status}")

    def page(self) -> Page:
        return self.context.new_page()

    def assert_no_faults(self) -> None:
        assert not self.faults, f"expected no faults, got {self.faults}"


@contextmanager
def visit(
    browser: Browser, width: int = WIDE, *, script: bool = True, scheme: Any = "light", **options: Any
) -> Iterator[Visit]:
    """Open a window without cookies of the others. Raise at its end if its pages had faults."""
    context = browser.new_context(
        base_url=SITE,
        viewport={"width": width, "height": HEIGHT[width]},
        java_script_enabled=script,
        color_scheme=scheme,
        locale="en-GB",
        **options,
    )
    window = Visit(context, script)
    yield window
    context.close()
    window.assert_no_faults()


# Elements that are wider than the window, except in a frame that scrolls, and the page itself.
WIDER = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => {
    for (let up = element.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };
  const found = [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width && box.right > width + 1 && !scrolls(element);
  }).map((element) => `${element.tagName.toLowerCase()}.${element.className}`);
  return document.documentElement.scrollWidth > width ? ["the page", ...found] : found;
}"""


def assert_fits(page: Page) -> None:
    found = page.evaluate(WIDER)
    assert not found, f"expected nothing wider than the window on {page.url}, got {found}"


# The focused element: its text, whether it has a focus ring, and whether it is inside the window.
FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const rings = [getComputedStyle(element), getComputedStyle(element, "::after")];
  const box = element.getBoundingClientRect();
  const shape = element.closest("svg") && element.querySelector("path");
  const text = (element.textContent || element.name || "").trim().slice(0, 40);
  return {
    name: `${element.tagName.toLowerCase()} ${text}`,
    ring:
      rings.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) ||
      (shape && parseFloat(getComputedStyle(shape).strokeWidth) >= 3),
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


def focused_element(page: Page) -> dict[str, Any] | None:
    """Return the name, ring and position of the focused element, or None."""
    return page.evaluate(FOCUSED)


def assert_keyboard(page: Page, limit: int = 60) -> None:
    """Raise if the focus is invisible at one of the first steps by Tab from the top of the page."""
    page.evaluate("document.activeElement.blur()")
    for step in range(limit):
        page.keyboard.press("Tab")
        found = focused_element(page)
        if not found:
            assert step > 4, f"expected more than 4 steps by Tab on {page.url}, got {step}"
            break
        name = f"{found['name']!r} of {page.url}"
        assert found["ring"], f"expected a visible focus, got none at {name}"
        assert found["inside"], f"expected the focus inside the window, got it outside at {name}"
