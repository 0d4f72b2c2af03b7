"""Size, layout and accessibility of every page at both widths.

The tests write a screenshot of each page to .lab/screenshots.
"""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import NARROW, SITE, WIDE, assert_fits, assert_keyboard, visit
from conftest import SCREENSHOTS
from homes import log_in
from playwright.sync_api import Error, Page, expect

# Limits of the first view of a page, without photos of homes, because mobile connections are slow.
MOST_BYTES, MOST_REQUESTS = 60_000, 12

# The path and the status of each page.
PAGES = {
    "front": ("/", 200),
    "listings": ("/listings/", 200),
    "listings-table": ("/listings/?view=table&sort=price", 200),
    "listings-none": ("/listings/?q=zeppelin", 200),
    "listing": ("/listings/1", 200),
    "listing-photos": ("{home}", 200),
    "submit": ("/submit", 200),
    "contact": ("/contact", 200),
    "resources": ("/resources", 200),
    "neighbourhoods": ("/neighbourhoods/", 200),
    "neighbourhoods-over-time": ("/neighbourhoods/over-time", 200),
    "neighbourhoods-compare": ("/neighbourhoods/compare", 200),
    "quiz": ("/quiz/", 200),
    "quiz-archive": ("/quiz/archive", 200),
    "weather": ("/weather/", 200),
    "weather-digest": ("/weather/digest", 200),
    "login": ("/admin/login", 200),
    "missing": ("/no-such-page", 404),
}
# Pages that only moderators may open.
DESK = {
    "desk": "/admin/",
    "desk-published": "/admin/?status=published",
    "desk-listing": "/admin{home}",
    "desk-messages": "/admin/messages",
    "desk-two-factor": "/admin/two-factor",
}
# Screenshots for the README, as large as a window: the element at the top.
PICTURES = {"front": "body", "neighbourhoods": "#shown", "quiz": "main"}


@pytest.fixture(scope="module")
def page_sizes() -> dict[str, tuple[int, int, int]]:
    """Collect bytes, requests and photos of each page's first view, and write them to weights.txt."""
    table: dict[str, tuple[int, int, int]] = {}
    yield table
    rows = [f"{name:28} {size:8} {requests:9} {photos:7}" for name, (size, requests, photos) in table.items()]
    text = "\n".join([f"{'page':28} {'bytes':>8} {'requests':>9} {'photos':>7}", *rows, ""])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / "weights.txt").write_text(text)
    print(f"\n{text}")


class Traffic:
    """Requests and bytes of a page's first view, as the browser counts them."""

    def __init__(self, page: Page) -> None:
        self.urls: dict[str, str] = {}
        self.bytes: dict[str, int] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self.count_request)
        session.on("Network.loadingFinished", self.count_bytes)
        session.send("Network.enable")

    def count_request(self, event: dict) -> None:
        if not event["request"]["url"].startswith("data:"):
            self.urls[event["requestId"]] = event["request"]["url"]

    def count_bytes(self, event: dict) -> None:
        self.bytes[event["requestId"]] = int(event["encodedDataLength"])

    def totals(self) -> tuple[int, int, int]:
        """Return bytes and requests without the photos, and the number of photos."""
        photos = {key for key, url in self.urls.items() if "/photos/" in url}
        size = sum(size for key, size in self.bytes.items() if key in self.urls and key not in photos)
        return size, len(self.urls) - len(photos), len(photos)


def load_images(page: Page) -> None:
    """Load all images, also those below the window."""
    page.evaluate("""() => Promise.all([...document.images].map((image) => {
      image.loading = "eager";
      return image.decode();
    }))""")


def assert_accessible(page: Page, rules: list[str] | None = None) -> None:
    """Raise if axe-core finds a serious or critical violation."""
    options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    response = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
    found = [
        f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:160]} ({len(one['nodes'])} times)"
        for one in response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert not found, f"expected no violation of accessibility on {page.url}, got {found}"


def check_page(page: Page, name: str, width: int) -> None:
    """Check layout, accessibility and keyboard focus of a page, and take screenshots."""
    assert_fits(page)
    load_images(page)
    assert_accessible(page)
    if width == NARROW:  # the focus is outside the window more often if it is narrow
        assert_keyboard(page)
    take_screenshot(page, f"{name}-{width}")
    page.emulate_media(color_scheme="dark")
    # Only these rules depend on the colour scheme.
    assert_accessible(page, ["color-contrast", "link-in-text-block"])
    take_screenshot(page, f"{name}-{width}-dark")


def take_screenshot(page: Page, name: str) -> None:
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_small_and_accessible(browser, home, page_sizes, name, width):
    path, status = PAGES[name][0].format(home=home), PAGES[name][1]
    with visit(browser, width) as window:
        window.expected_statuses.add(status)
        page = window.page()
        traffic = Traffic(page)
        response = page.goto(path, wait_until="networkidle")
        assert response.status == status, f"expected status {status} of {path}, got {response.status}"
        size, requests, _ = page_sizes[f"{name}-{width}"] = traffic.totals()
        assert 1000 < size <= MOST_BYTES, f"expected {path} to have {MOST_BYTES} bytes at most, got {size}"
        assert requests <= MOST_REQUESTS, (
            f"expected {path} to send {MOST_REQUESTS} requests at most, got {sorted(traffic.urls.values())}"
        )
        if name in PICTURES and width == WIDE:
            take_readme_screenshot(page, name)
        check_page(page, name, width)
        heading = page.get_by_role("heading", level=1).inner_text()
        no_script = page.locator("script").count() == 0

    if no_script:
        return
    # The page without JavaScript has the same heading.
    with visit(browser, width, script=False) as window:
        window.expected_statuses.add(status)
        page = window.page()
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        assert_fits(page)


def take_readme_screenshot(page: Page, name: str) -> None:
    """Take a screenshot of the window for the README."""
    page.locator(PICTURES[name]).evaluate("(element) => element.scrollIntoView()")
    page.screenshot(path=SCREENSHOTS / f"readme/{name}.png")
    size = (SCREENSHOTS / f"readme/{name}.png").stat().st_size
    assert size <= 150_000, f"expected a screenshot {name} of 150 kB at most, got {size}"


@pytest.fixture(scope="module")
def session(browser, login) -> dict:
    """Log in as a moderator. Return the cookies."""
    with visit(browser) as moderator:
        log_in(moderator.page(), login)
        return moderator.context.storage_state()


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("name", DESK)
def test_page_of_moderators_is_accessible(browser, home, session, name, width):
    with visit(browser, width, storage_state=session) as window:
        page = window.page()
        page.goto(DESK[name].format(home=home))
        check_page(page, name, width)


def test_printed_page_omits_navigation_and_buttons(browser, home):
    with visit(browser) as window:
        page = window.page()
        page.goto(home)
        page.emulate_media(media="print")
        for selector in (".masthead nav", ".footer", ".button"):
            assert not page.locator(selector).first.is_visible(), f"expected no {selector} on paper"
        assert page.locator("h1").is_visible(), "expected the heading on paper"
        assert page.locator(".price").is_visible(), "expected the price on paper"


def test_browser_without_the_lab_ca_rejects_the_certificate(playwright, endpoint, tmp_path):
    browser = endpoint.launch(playwright, tmp_path)
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        browser.new_page().goto(SITE)
    browser.close()
