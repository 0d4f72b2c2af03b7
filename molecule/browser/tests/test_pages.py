"""What holds for every page, at both widths: what it weighs, who can use it, that it complains of nothing.

A picture of each is left in .lab/screenshots.
"""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import NARROW, SITE, WIDE, assert_fits, assert_keyboard, visit
from conftest import SCREENSHOTS
from homes import log_in
from playwright.sync_api import Error, Page, expect

# What a first view may cost, before photos of homes: for somebody with a weak signal on the quay.
MOST_BYTES, MOST_REQUESTS = 60_000, 12

# What is a page of its own: its path, and its status where that is not 200.
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
# What only a moderator sees.
DESK = {
    "desk": "/admin/",
    "desk-published": "/admin/?status=published",
    "desk-listing": "/admin{home}",
    "desk-messages": "/admin/messages",
}
# For the README, as large as a window, and what is at its top.
PICTURES = {"front": "body", "neighbourhoods": "#shown", "quiz": "main"}


@pytest.fixture(scope="module")
def weights() -> dict[str, tuple[int, int, int]]:
    """Bytes, requests and photos of each page's first view; written down at the end."""
    table: dict[str, tuple[int, int, int]] = {}
    yield table
    rows = [f"{name:28} {kept:8} {asked:9} {photos:7}" for name, (kept, asked, photos) in table.items()]
    text = "\n".join([f"{'page':28} {'bytes':>8} {'requests':>9} {'photos':>7}", *rows, ""])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / "weights.txt").write_text(text)
    print(f"\n{text}")


class Scale:
    """What a page's first view costs, as the browser counts it."""

    def __init__(self, page: Page) -> None:
        self.urls: dict[str, str] = {}
        self.bytes: dict[str, int] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self.asked)
        session.on("Network.loadingFinished", self.came)
        session.send("Network.enable")

    def asked(self, event: dict) -> None:
        if not event["request"]["url"].startswith("data:"):
            self.urls[event["requestId"]] = event["request"]["url"]

    def came(self, event: dict) -> None:
        self.bytes[event["requestId"]] = int(event["encodedDataLength"])

    def weighed(self) -> tuple[int, int, int]:
        """Bytes and requests without the photos, and how many of these."""
        photos = {key for key, url in self.urls.items() if "/photos/" in url}
        size = sum(size for key, size in self.bytes.items() if key in self.urls and key not in photos)
        return size, len(self.urls) - len(photos), len(photos)


def settle(page: Page) -> None:
    """Have all pictures come, also those further down."""
    page.evaluate("""() => Promise.all([...document.images].map((one) => {
      one.loading = "eager";
      return one.decode();
    }))""")


def assert_usable(page: Page, rules: list[str] | None = None) -> None:
    """Nobody is kept out: axe-core finds nothing serious or critical."""
    options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    answer = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
    found = [
        f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:160]} ({len(one['nodes'])} times)"
        for one in answer["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert not found, f"expected {page.url} to be usable by everybody, got {found}"


def look(page: Page, name: str, width: int) -> None:
    """All that holds for a page, whatever it is."""
    assert_fits(page)
    settle(page)
    assert_usable(page)
    if width == NARROW:  # where the focus has the least room
        assert_keyboard(page)
    take(page, f"{name}-{width}")
    page.emulate_media(color_scheme="dark")
    # What depends on the scheme.
    assert_usable(page, ["color-contrast", "link-in-text-block"])
    take(page, f"{name}-{width}-dark")


def take(page: Page, name: str) -> None:
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("name", PAGES)
def test_page(browser, home, weights, name, width):
    path, status = PAGES[name][0].format(home=home), PAGES[name][1]
    with visit(browser, width) as one:
        one.refused.add(status)
        page = one.page()
        scale = Scale(page)
        answer = page.goto(path, wait_until="networkidle")
        assert answer.status == status, f"expected {path} to answer {status}, got {answer.status}"
        size, requests, _ = weights[f"{name}-{width}"] = scale.weighed()
        assert 1000 < size <= MOST_BYTES, f"expected {path} to weigh {MOST_BYTES} bytes at most, got {size}"
        assert requests <= MOST_REQUESTS, (
            f"expected {path} to take {MOST_REQUESTS} requests at most, got {sorted(scale.urls.values())}"
        )
        if name in PICTURES and width == WIDE:
            picture(page, name)
        look(page, name, width)
        heading = page.get_by_role("heading", level=1).inner_text()
        plain = page.locator("script").count() == 0

    if plain:  # whoever has no JavaScript sees the same
        return
    with visit(browser, width, script=False) as one:
        one.refused.add(status)
        page = one.page()
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        assert_fits(page)


def picture(page: Page, name: str) -> None:
    """A window as the README shows it."""
    page.locator(PICTURES[name]).evaluate("(one) => one.scrollIntoView()")
    page.screenshot(path=SCREENSHOTS / f"readme/{name}.png")
    size = (SCREENSHOTS / f"readme/{name}.png").stat().st_size
    assert size <= 150_000, f"expected the README's picture {name} to have 150 kB at most, got {size}"


@pytest.fixture(scope="module")
def session(browser, login) -> dict:
    """The cookies of a moderator who is logged in."""
    with visit(browser) as moderator:
        log_in(moderator.page(), login)
        return moderator.context.storage_state()


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("name", DESK)
def test_page_of_the_desk(browser, home, session, name, width):
    with visit(browser, width, storage_state=session) as one:
        page = one.page()
        page.goto(DESK[name].format(home=home))
        look(page, name, width)


def test_printed(browser, home):
    """On paper a page has its content and nothing to click."""
    with visit(browser) as one:
        page = one.page()
        page.goto(home)
        page.emulate_media(media="print")
        for gone in (".masthead nav", ".footer", ".button"):
            assert not page.locator(gone).first.is_visible(), f"expected no {gone} on paper"
        assert page.locator("h1").is_visible(), "expected the heading on paper"
        assert page.locator(".price").is_visible(), "expected the price on paper"


def test_only_the_authority_is_trusted(playwright, place, tmp_path):
    """The browser looks at certificates: one that does not know the lab's authority goes no further."""
    stranger = place.browser(playwright, tmp_path)
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        stranger.new_page().goto(SITE)
    stranger.close()
