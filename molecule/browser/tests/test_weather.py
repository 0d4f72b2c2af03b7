"""The weather: now, the days to come, and by e-mail for who has asked twice for it."""

from __future__ import annotations

import re
import secrets
from urllib.parse import urlsplit

from browsing import assert_fits
from playwright.sync_api import expect


def test_the_weather(visitor):
    page = visitor.page()
    page.goto("/")
    page.get_by_role("link", name="The weather").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The weather in St. John's")
    metric = page.locator(".now .price").inner_text()
    page.get_by_role("link", name=re.compile("imperial|°F", re.IGNORECASE)).click()
    expect(page.locator(".now .price")).not_to_have_text(metric)
    page.get_by_role("link", name="Petty Harbour").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The weather in Petty Harbour")
    assert page.locator("tbody tr").count() >= 4, "expected the days to come"
    assert_fits(page)


def test_the_weather_by_mail(visitor, mails, flask, machine):
    """Nothing is sent before the link in the mail is followed; another link ends it, and all is forgotten."""
    visitor.refused.add(422)
    address = f"ada-{secrets.token_hex(4)}@example.com"
    page = visitor.page()
    page.goto("/weather/")
    page.get_by_role("link", name="Get it by e-mail").click()
    page.get_by_label("Your e-mail address").fill("ada")
    button = page.get_by_role("button", name="Send me a link")
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("does not look like an e-mail address")
    page.get_by_label("Your e-mail address").fill(address)
    button.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mail")
    assert_fits(page)

    (mail,) = mails(f"To: {address}")
    link = urlsplit(re.search(r"https://\S+", mail.get_content())[0])
    assert link.netloc == "harbour.test", f"expected a link to here, got {link}"
    page.goto(f"{link.path}?{link.query}")
    page.get_by_role("button", name="Yes, please").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are on the list")
    assert_fits(page)

    flask("flask weather digest")
    (mail,) = [one for one in mails(f"To: {address}") if one["List-Unsubscribe"]]
    assert "The weather in St. John's" in mail.get_content(), (
        f"expected the weather, got {mail.get_content()}"
    )
    link = urlsplit(mail["List-Unsubscribe"].strip("<>"))
    page.goto(f"{link.path}?{link.query}")
    page.get_by_role("button", name="Yes, stop it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("No more mail")
    assert_fits(page)
    query = f"SELECT COUNT(*) FROM weather_subscribers WHERE email = '{address}'"
    kept = machine.check_output("mysql --batch --skip-column-names harbour --execute %s", query)
    assert kept == "0", f"expected the address to be forgotten, got {kept}"
