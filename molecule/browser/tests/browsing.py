"""A browser as people have one, and what no page may do to it."""

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
NARROW, WIDE = 360, 1280  # pixels: a small telephone, a laptop
HEIGHT = {NARROW: 740, WIDE: 800}
# Milliseconds: a machine that makes hosts beside the tests is slow, and nothing here measures time.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
# Debian's, or what a runner of CI has instead.
PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Or a picture depends on the machine that it is taken on.
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
]
# The policy of every page forbids what is not its own; who breaks it is told here, even where no script runs.
REPORT = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} forbids ${event.blockedURI} ${event.sample}`))"""


@dataclass
class Place:
    """Where the host is reached, and who vouches for it."""

    address: str
    port: int
    ca: str

    def trusted_by(self, home: Path) -> Path:
        """A home folder in which Chromium finds the lab's authority among those that it trusts."""
        store = home / ".pki/nssdb"
        store.mkdir(parents=True)
        for arguments in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "lab", "-i", self.ca]):
            subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)
        return home

    def browser(self, playwright: Playwright, home: Path) -> Browser:
        """A browser for which Harbour's name is this host's, and no other name leads anywhere."""
        assert PROGRAM, "expected Chromium on this machine: bin/setup browser installs it"
        rules = f"MAP {NAME} {self.address}:{self.port}, MAP * ~NOTFOUND"
        environment = {**os.environ, "HOME": str(home), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
        return playwright.chromium.launch(
            executable_path=PROGRAM, args=[*ARGUMENTS, f"--host-resolver-rules={rules}"], env=environment
        )


@dataclass
class Visit:
    """A browser's window, and what the pages in it did that they may not."""

    context: BrowserContext
    script: bool = True
    complaints: list[str] = field(default_factory=list)
    # Statuses of pages that are meant to be refused.
    refused: set[int] = field(default_factory=set)
    # What scripts ask for and is refused in the same way.
    tolerated: set[str] = field(default_factory=set)
    releases: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.add_init_script(REPORT)
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.complaints.append(f"error: {error.error}"))
        self.context.on("requestfailed", self._failed)
        self.context.on("response", self._response)
        self.context.set_default_timeout(PATIENCE)

    def _console(self, message: ConsoleMessage) -> None:
        # Not of a page that is refused: _response looks at each, and knows which are meant to be.
        refused = "the server responded with a status of" in message.text
        if message.type in ("error", "warning") and not refused:
            self.complaints.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        # Who goes on to the next page does not wait for the last picture.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"failed: {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if "x-release" in response.headers:
            self.releases.append(response.headers["x-release"])
        meant = response.request.is_navigation_request() or urlsplit(response.url).path in self.tolerated
        if response.status >= 400 and not (meant and response.status in self.refused):
            self.complaints.append(f"status: {response.url} {response.status}")

    def page(self) -> Page:
        return self.context.new_page()

    def assert_quiet(self) -> None:
        assert not self.complaints, f"expected a quiet console, got {self.complaints}"


@contextmanager
def visit(
    browser: Browser, width: int = WIDE, *, script: bool = True, scheme: Any = "light", **options: Any
) -> Iterator[Visit]:
    """A window that knows nothing of the others; at its end there may be no complaint."""
    context = browser.new_context(
        base_url=SITE,
        viewport={"width": width, "height": HEIGHT[width]},
        java_script_enabled=script,
        color_scheme=scheme,
        locale="en-GB",
        **options,
    )
    one = Visit(context, script)
    yield one
    context.close()
    one.assert_quiet()


# What is wider than the window: the page itself, or what a frame that scrolls does not hold.
WIDER = """() => {
  const width = document.documentElement.clientWidth;
  const held = (element) => {
    for (let up = element.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };
  const found = [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width && box.right > width + 1 && !held(element);
  }).map((element) => `${element.tagName.toLowerCase()}.${element.className}`);
  return document.documentElement.scrollWidth > width ? ["the page", ...found] : found;
}"""


def assert_fits(page: Page) -> None:
    found = page.evaluate(WIDER)
    assert not found, f"expected nothing wider than the window on {page.url}, got {found}"


# What has the focus, whether it shows, and whether that is inside the window.
FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const rings = [getComputedStyle(element), getComputedStyle(element, "::after")];
  const box = element.getBoundingClientRect();
  const shape = element.closest("svg") && element.querySelector("path");
  const text = (element.textContent || element.name || "").trim().slice(0, 40);
  return {
    what: `${element.tagName.toLowerCase()} ${text}`,
    ring:
      rings.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) ||
      (shape && parseFloat(getComputedStyle(shape).strokeWidth) >= 3),
    seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


def focused(page: Page) -> dict[str, Any] | None:
    """What has the focus, if anything in the page has."""
    return page.evaluate(FOCUSED)


def assert_keyboard(page: Page, most: int = 60) -> None:
    """Whoever has no mouse sees where they are, from the top of the page to its end or so many steps on."""
    page.evaluate("document.activeElement.blur()")
    for step in range(most):
        page.keyboard.press("Tab")
        found = focused(page)
        if found is None:
            assert step > 4, f"expected to come through {page.url} by keyboard, got {step} steps"
            break
        what = f"{found['what']!r} of {page.url}"
        assert found["ring"], f"expected the focus to show, got none at {what}"
        assert found["seen"], f"expected the focus inside the window, got it outside at {what}"
