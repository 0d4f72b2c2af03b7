"""Visitors search, offer and inquire about homes. Moderators publish homes and handle messages."""

from __future__ import annotations

import re
import secrets

from browsing import assert_fits, visit
from homes import fill, log_in, offer, publish
from playwright.sync_api import Locator, Page, expect


def assert_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def prices(page: Page, selector: str) -> list[int]:
    return [int(re.sub(r"\D", "", text)) for text in page.locator(selector).all_inner_texts()]


def follow(target: Locator) -> None:
    """Click a link or button, and wait until the next page is loaded."""
    with target.page.expect_navigation():
        target.click()


def test_visitor_finds_a_home(visitor):
    """Search, sort and filter homes, switch from cards to the table, and open a home."""
    page = visitor.page()
    page.goto("/")
    page.get_by_label("Street, place or name").fill("old quay")
    follow(page.get_by_role("button", name="Search"))
    assert_heading(page, "Homes for sale")
    places = page.locator(".card-place").all_inner_texts()
    assert places and all("Old Quay" in place for place in places), (
        f"expected homes in Old Quay, got {places}"
    )

    follow(page.get_by_role("link", name="Clear the search"))
    page.get_by_label("Sort by").select_option("Price, low to high")
    follow(page.get_by_role("button", name="Search"))
    cards = prices(page, ".card .price")
    assert cards == sorted(cards) and len(cards) > 5, f"expected the cheapest first, got {cards}"

    follow(page.get_by_role("link", name="table"))
    rows = prices(page, "tbody td:last-child")
    assert rows[: len(cards)] == cards, f"expected the same homes in the table, got {rows}"
    assert_fits(page)
    follow(page.get_by_role("link", name="Next →"))
    expect(page.locator(".pager")).to_contain_text("Page 2 of")
    later = prices(page, "tbody td:last-child")
    assert later and later[0] >= rows[-1], (
        f"expected more expensive homes on the next page, got {later} after {rows}"
    )
    follow(page.get_by_role("link", name="← Previous"))
    assert prices(page, "tbody td:last-child") == rows, "expected the same homes on the previous page"

    page.get_by_label("Kind of home").select_option("Cottage")
    page.get_by_label("Bedrooms").select_option("2 or more")
    page.get_by_label("Price up to").fill("$ 400,000")
    follow(page.get_by_role("button", name="Search"))
    assert_heading(page, "Cottages for sale")
    found = prices(page, "tbody td:last-child")
    assert found and max(found) <= 400_000, f"expected cottages up to 400,000, got {found}"
    title = page.locator("tbody th a").first.inner_text()
    follow(page.locator("tbody th a").first)
    assert_heading(page, title)
    assert prices(page, "aside .price") == found[:1], "expected the price of the table"
    follow(page.get_by_role("link", name="Cottages"))
    assert_heading(page, "Cottages for sale")

    page.get_by_label("Street, place or name").fill("zeppelin")
    follow(page.get_by_role("button", name="Search"))
    expect(page.locator(".empty")).to_contain_text("Nothing in the harbour matches")


def test_offered_home_is_public_after_moderation(browser, visitor, login, photos):
    """Send an incomplete, then a complete form. A moderator mistypes the password, then publishes."""
    title = f"A house at the end of the pier {secrets.token_hex(3)}"
    visitor.expected_statuses.add(422)
    page = visitor.page()
    page.goto("/")
    page.get_by_role("link", name="Offer a home", exact=True).first.click()
    page.get_by_role("button", name="Send it in").click()
    problems = page.get_by_role("alert")
    expect(problems).to_contain_text("Nothing has been sent yet")
    problems.get_by_role("link", name="Headline").click()
    expect(page.get_by_label("Headline")).to_be_focused()
    expect(page.get_by_label("Headline")).to_have_attribute("aria-invalid", "true")
    assert_fits(page)
    fill(page, title, photos)
    page.get_by_role("button", name="Send it in").click()
    assert_heading(page, "Thank you")
    reference = page.locator(".reference").inner_text()
    path = f"/listings/{int(reference.removeprefix('H-'))}"
    assert_fits(page)
    visitor.expected_statuses.add(404)
    page.goto(path)
    assert_heading(page, "Nothing moored here")

    width, script = page.viewport_size["width"], visitor.script
    with visit(browser, width, script=script) as window:
        window.expected_statuses.add(422)
        desk = window.page()
        desk.goto(f"/admin{path}")
        desk.get_by_label("Name").fill(login[0])
        desk.get_by_label("Password").fill("not the password")
        desk.get_by_role("button", name="Log in").click()
        expect(desk.locator(".error")).to_contain_text("do not belong together")
        desk.get_by_label("Password").fill(login[1])
        desk.get_by_role("button", name="Log in").click()
        assert_heading(desk, title)  # the login redirects to the requested page
        assert_photos(desk, len(photos))
        desk.goto("/admin/")
        publish(desk, reference)
        desk.get_by_role("button", name="Log out").click()
        assert_heading(desk, "Log in")

    page.goto("/listings/")
    page.get_by_role("link", name=title).click()
    assert_heading(page, title)
    assert_photos(page, len(photos))
    expect(page.locator("main")).not_to_contain_text("ada@example.com")
    page.locator(".photos a").nth(1).click()
    assert page.url.endswith("-large.jpg"), f"expected the photo itself, got {page.url}"


def assert_photos(page: Page, number: int) -> None:
    """Raise if the page does not have this number of photos, or if a photo is not loaded in full size."""
    page.locator("img.photo").last.scroll_into_view_if_needed()
    expect(page.locator("img.photo")).to_have_count(number)
    for photo in page.locator("img.photo").all():
        photo.scroll_into_view_if_needed()
        photo.evaluate("(image) => image.decode()")
        assert photo.evaluate("(image) => image.naturalWidth") >= 640, "expected a photo in full size"


def test_message_about_a_home_is_stored_and_mailed(visitor, home, lab_host, mails):
    mark = f"Is the boathouse dry? {secrets.token_hex(4)}"
    page = visitor.page()
    visitor.expected_statuses.add(422)
    page.goto(home)
    reference = page.locator("dd", has_text="H-").inner_text()
    page.get_by_role("link", name="Ask about it").click()
    assert_heading(page, "Write to us")
    expect(page.locator(".lead")).to_contain_text(reference)
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_label("Your e-mail address").fill("grace")
    page.get_by_label("Your message").fill(mark)
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_role("alert")).to_contain_text("does not look like an e-mail address")
    page.get_by_label("Your e-mail address").fill("grace@example.com")
    page.get_by_role("button", name="Send it").click()
    assert_heading(page, "Thank you")
    (mail,) = mails(mark)
    assert mail["To"] == "townhall@harbour.test" and mail["Reply-To"] == "grace@example.com", (
        f"expected a mail to the town hall with a reply to Grace, got {mail['To']}, {mail['Reply-To']}"
    )
    assert reference in mail["Subject"], f"expected {reference} in the subject, got {mail['Subject']}"
    query = f"SELECT COUNT(*) FROM messages WHERE text = '{mark}' AND mailed_at IS NOT NULL"
    stored = lab_host.check_output("mysql --batch --skip-column-names harbour --execute %s", query)
    assert stored == "1", f"expected the message once, got {stored}"


def test_moderator_removes_a_handled_message(browser, login):
    with visit(browser) as window:
        page = window.page()
        log_in(page, login)
        page.get_by_role("link", name="Messages").click()
        messages = page.locator(".letter")
        before = messages.count()
        assert before, "expected messages of the previous test"
        messages.first.get_by_role("button", name="Done with it").click()
        expect(messages).to_have_count(before - 1)


def test_resources_page_links_to_both_forms(visitor):
    page = visitor.page()
    page.goto("/")
    page.get_by_role("link", name="Good to know").click()
    assert_heading(page, "Good to know")
    page.get_by_role("link", name="offer your home").click()
    assert_heading(page, "Offer a home")
    page.go_back()
    page.get_by_role("link", name="write to us").click()
    assert_heading(page, "Write to us")


def test_form_without_csrf_cookie_gets_an_explanation(visitor):
    visitor.expected_statuses.add(400)
    page = visitor.page()
    page.goto("/contact")
    visitor.context.clear_cookies()
    page.get_by_role("button", name="Send it").click()
    assert_heading(page, "The form came without its key")


def test_invalid_photo_is_rejected_and_input_stays(visitor, tmp_path):
    (tmp_path / "house.jpg").write_bytes(b"\xff\xd8\xff no picture at all")
    visitor.expected_statuses.add(422)
    page = visitor.page()
    page.goto("/submit")
    fill(page, "A house that is not sent", [tmp_path / "house.jpg"])
    page.get_by_role("button", name="Send it in").click()
    expect(page.get_by_role("alert")).to_contain_text("no JPEG, PNG or WebP picture")
    expect(page.get_by_label("Headline")).to_have_value("A house that is not sent")


def test_three_clicks_offer_one_home(browser, photos, lab_host):
    title = f"A house in a hurry {secrets.token_hex(3)}"
    with visit(browser) as window:
        page = window.page()
        first = offer(page, title, photos[:1], clicks=3)
        page.goto("/submit")
        second = offer(page, f"{title}, the next", photos[:1])
    query = f"SELECT COUNT(*) FROM listings WHERE title = '{title}'"
    stored = lab_host.check_output("mysql --batch --skip-column-names harbour --execute %s", query)
    assert stored == "1", f"expected the home once, got it {stored} times"
    assert second != first, f"expected another reference for another home, got {first} twice"
