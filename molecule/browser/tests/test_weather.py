"""The weather: current, forecast, and by e-mail for confirmed subscribers."""

from __future__ import annotations

import re
import secrets
from urllib.parse import urlsplit

from browsing import assert_fits
from playwright.sync_api import expect


def test_weather_shows_towns_units_and_forecast(visitor):
    page = visitor.page()
    page.goto("/")
    page.get_by_role("link", name="The weather").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The weather in St. John's")
    metric = page.locator(".now .price").inner_text()
    page.get_by_role("link", name=re.compile("imperial|°F", re.IGNORECASE)).click()
    expect(page.locator(".now .price")).not_to_have_text(metric)
    page.get_by_role("link", name="Petty Harbour").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The weather in Petty Harbour")
    assert page.locator("tbody tr").count() >= 4, "expected a forecast of four days"
    assert_fits(page)


def test_weather_mail_requires_a_confirmation(visitor, mails, flask, lab_host):
    """A link in a mail confirms the subscription. Another ends it and deletes the address."""
    visitor.expected_statuses.add(422)
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
    assert link.netloc == "harbour.test", f"expected a link to harbour.test, got {link}"
    page.goto(f"{link.path}?{link.query}")
    page.get_by_role("button", name="Yes, please").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are on the list")
    assert_fits(page)

    flask("flask weather digest")
    (mail,) = [each for each in mails(f"To: {address}") if each["List-Unsubscribe"]]
    assert "The weather in St. John's" in mail.get_content(), (
        f"expected the weather, got {mail.get_content()}"
    )
    link = urlsplit(mail["List-Unsubscribe"].strip("<>"))
    page.goto(f"{link.path}?{link.query}")
    page.get_by_role("button", name="Yes, stop it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("No more mail")
    assert_fits(page)
    query = f"SELECT COUNT(*) FROM weather_subscribers WHERE email = '{address}'"
    stored = lab_host.check_output("mysql --batch --skip-column-names harbour --execute %s", query)
    assert stored == "0", f"expected no stored address, got {stored}"
