"""The daily film quiz with six tries. No response contains the answer before the end."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from browsing import NARROW, WIDE, assert_fits, visit
from playwright.sync_api import Page, Response, expect

TRIES = 6


@pytest.fixture(autouse=True)
def full_limit(reset_limits) -> None:
    """Reset the limit of sixty tries an hour, because all tests send from one address."""
    reset_limits()


@pytest.fixture(scope="module")
def titles(browser) -> list[str]:
    """Return all titles of the public list."""
    with visit(browser) as window:
        page = window.page()
        page.goto("/quiz/")
        return page.evaluate("fetch('/quiz/titles.json').then((response) => response.json())")


@pytest.fixture(scope="module")
def answer(browser, titles) -> str:
    """Use up all tries. Return the title of the film."""
    with visit(browser) as window:
        page = window.page()
        page.goto("/quiz/")
        for title in titles[:TRIES]:
            if page.locator("#quiz-form").is_visible():
                guess(page, title, script=True)
        return page.locator("#quiz-answer").inner_text()


@pytest.fixture
def wrong_titles(titles, answer) -> list[str]:
    return [title for title in titles[100:] if title != answer][:TRIES]


def guess(page: Page, title: str, *, script: bool) -> str:
    """Guess a film. Return the response and the page."""
    field = page.get_by_label("Which film is it?")
    field.fill(title)
    field.blur()  # closes the suggestions, which cover the button

    def is_guess(response: Response) -> bool:
        return response.request.method == "POST" and "/quiz/" in response.url

    button = page.get_by_role("button", name="Guess")
    if not script:
        with page.expect_navigation():
            button.click()
        return page.content()
    with page.expect_response(is_guess) as response:
        button.click()
    return response.value.text() + page.content()


def assert_no_answer(text: str, answer: str) -> None:
    name = re.sub(r" \(\d{4}\)$", "", answer)
    found = re.findall(rf".{{0,40}}\b{re.escape(name)}\b.{{0,40}}", text)
    assert not found, f"expected nothing of {answer!r} yet, got {found}"


def test_wrong_tries_show_clues_and_then_the_answer(visitor, wrong_titles, answer):
    page = visitor.page()
    page.goto("/quiz/")
    assert_no_answer(page.content(), answer)
    clues = page.locator("#quiz-clues > div")
    shown = clues.count()
    for number, title in enumerate(wrong_titles, 1):
        text = guess(page, title, script=visitor.script)
        if number < TRIES:
            assert_no_answer(text, answer)
            expect(clues.nth(shown)).to_be_visible()
            shown = clues.count()
            expect(page.locator("#quiz-left")).to_contain_text(f"{TRIES - number} tr")
        expect(page.locator("#quiz-guesses .missed")).to_have_count(number)
        expect(page.locator("#quiz-guesses .missed").last).to_contain_text(title)
        assert_fits(page)
    expect(page.locator("#quiz-left")).to_have_text("No tries left.")
    expect(page.locator("#quiz-answer")).to_have_text(answer)
    expect(page.locator("#quiz-form")).to_be_hidden()
    assert_no_answer(page.locator("#quiz-share").inner_text(), answer)
    page.reload()
    expect(page.locator("#quiz-guesses .missed")).to_have_count(TRIES)


def test_right_title_shows_the_answer_and_a_streak(visitor, wrong_titles, answer):
    """Unknown and repeated titles cost no try."""
    visitor.expected_statuses.add(422)
    visitor.expected_paths.add("/quiz/guess.json")
    page = visitor.page()
    page.goto("/quiz/")
    guess(page, "No film has such a name", script=visitor.script)
    expect(page.locator("#guess-error")).to_contain_text("It has cost no try")
    expect(page.get_by_label("Which film is it?")).to_have_attribute("aria-invalid", "true")
    guess(page, wrong_titles[0], script=visitor.script)
    guess(page, wrong_titles[0], script=visitor.script)
    expect(page.locator("#guess-error")).to_contain_text("before")
    guess(page, f"  {answer.upper()}", script=visitor.script)
    expect(page.locator("#quiz-left")).to_have_text("You have it!")
    expect(page.locator("#quiz-answer")).to_have_text(answer)
    expect(page.locator("#quiz-guesses .right")).to_have_count(1)
    expect(page.locator("#quiz-streak")).to_contain_text("Days in a row: 1")
    share = page.locator("#quiz-share").inner_text()
    assert "https://harbour.test/quiz/" in share, f"expected a link to the quiz, got {share!r}"
    assert_no_answer(share, answer)
    assert_fits(page)


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_suggested_titles_are_usable_by_keyboard(browser, titles, answer, width):
    """Type the first letters, select a suggestion, and guess it."""
    suggestion = next(title for title in titles if title.startswith("Casino") and title != answer)
    with visit(browser, width) as window:
        page = window.page()
        page.goto("/quiz/")
        field = page.get_by_role("combobox", name="Which film is it?")
        field.focus()
        page.keyboard.type("casin", delay=20)
        options = page.get_by_role("option")
        expect(options.first).to_be_visible()
        expect(field).to_have_attribute("aria-expanded", "true")
        assert_fits(page)
        for _ in range(options.all_inner_texts().index(suggestion) + 1):
            page.keyboard.press("ArrowDown")
        expect(field).to_have_attribute("aria-activedescendant", re.compile(r"quiz-title-\d"))
        page.keyboard.press("Enter")
        expect(field).to_have_value(suggestion)
        expect(options).to_have_count(0)
        page.keyboard.press("Enter")
        expect(page.locator("#quiz-guesses .missed")).to_contain_text(suggestion)
        expect(field).to_be_focused()
        expect(field).to_have_value("")


def test_button_copies_the_result(browser, answer):
    with visit(browser, permissions=["clipboard-read", "clipboard-write"]) as window:
        page = window.page()
        page.goto("/quiz/")
        guess(page, answer, script=True)
        page.get_by_role("button", name="Copy it").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.locator("#quiz-share").inner_text(), f"expected the result, got {copied!r}"


def test_archive_shows_only_films_of_past_days(visitor, create_past_day: Callable[[], str]):
    day = create_past_day()
    page = visitor.page()
    page.goto("/quiz/archive")
    assert_fits(page)
    film = page.locator("tbody th").first.inner_text()
    page.locator("tbody a").first.click()
    expect(page.locator(".lead")).to_contain_text(film)
    assert page.url.endswith(day), f"expected the film of {day}, got {page.url}"
    visitor.expected_statuses.add(404)
    page.goto("/quiz/archive/2999-01-01")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing moored here")


@pytest.fixture
def create_past_day(lab_host) -> Callable[[], str]:
    """Store the film of another day for the day before, and return that day."""

    def create() -> str:
        query = (
            "REPLACE INTO quiz_days (day, film)"
            " SELECT MAX(day) - INTERVAL 1 DAY, SUBSTRING_INDEX(GROUP_CONCAT(film ORDER BY day DESC), ',', 1)"
            " FROM quiz_days; SELECT day FROM quiz_days ORDER BY day DESC LIMIT 1, 1"
        )
        return lab_host.check_output("mysql --batch --skip-column-names harbour --execute %s", query)

    return create
