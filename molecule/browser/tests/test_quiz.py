"""The daily film: six tries, by script and by form, and nothing of the answer before it is earned."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from browsing import NARROW, WIDE, assert_fits, visit
from playwright.sync_api import Page, Response, expect

TRIES = 6


@pytest.fixture(autouse=True)
def rested(fresh) -> None:
    """One visitor has sixty tries in an hour, and all of these come from one address."""
    fresh()


@pytest.fixture(scope="module")
def titles(browser) -> list[str]:
    """All titles there are, as everybody may see them."""
    with visit(browser) as one:
        page = one.page()
        page.goto("/quiz/")
        return page.evaluate("fetch('/quiz/titles.json').then((answer) => answer.json())")


@pytest.fixture(scope="module")
def answer(browser, titles) -> str:
    """What the film is: somebody has used up all tries."""
    with visit(browser) as one:
        page = one.page()
        page.goto("/quiz/")
        for title in titles[:TRIES]:
            if page.locator("#quiz-form").is_visible():
                guess(page, title, script=True)
        return page.locator("#quiz-answer").inner_text()


@pytest.fixture
def wrong(titles, answer) -> list[str]:
    return [title for title in titles[100:] if title != answer][:TRIES]


def guess(page: Page, title: str, *, script: bool) -> str:
    """Guess a film; all that came back."""
    field = page.get_by_label("Which film is it?")
    field.fill(title)
    field.blur()  # or the titles that are suggested are above the button

    def taken(response: Response) -> bool:
        return response.request.method == "POST" and "/quiz/" in response.url

    button = page.get_by_role("button", name="Guess")
    if not script:
        with page.expect_navigation():
            button.click()
        return page.content()
    with page.expect_response(taken) as coming:
        button.click()
    return coming.value.text() + page.content()


def assert_untold(told: str, answer: str) -> None:
    name = re.sub(r" \(\d{4}\)$", "", answer)
    found = re.findall(rf".{{0,40}}\b{re.escape(name)}\b.{{0,40}}", told)
    assert not found, f"expected nothing of {answer!r} yet, got {found}"


def test_six_wrong_tries(visitor, wrong, answer):
    """Each earns a clue; after the last the film is told."""
    page = visitor.page()
    page.goto("/quiz/")
    assert_untold(page.content(), answer)
    clues = page.locator("#quiz-clues > div")
    known = clues.count()
    for number, title in enumerate(wrong, 1):
        told = guess(page, title, script=visitor.script)
        if number < TRIES:
            assert_untold(told, answer)
            expect(clues.nth(known)).to_be_visible()
            known = clues.count()
            expect(page.locator("#quiz-left")).to_contain_text(f"{TRIES - number} tr")
        expect(page.locator("#quiz-guesses .missed")).to_have_count(number)
        expect(page.locator("#quiz-guesses .missed").last).to_contain_text(title)
        assert_fits(page)
    expect(page.locator("#quiz-left")).to_have_text("No tries left.")
    expect(page.locator("#quiz-answer")).to_have_text(answer)
    expect(page.locator("#quiz-form")).to_be_hidden()
    assert_untold(page.locator("#quiz-share").inner_text(), answer)
    page.reload()
    expect(page.locator("#quiz-guesses .missed")).to_have_count(TRIES)


def test_the_right_film(visitor, wrong, answer):
    """Slips cost no try; who has it may tell others, and begins a streak."""
    visitor.refused.add(422)
    visitor.tolerated.add("/quiz/guess.json")
    page = visitor.page()
    page.goto("/quiz/")
    guess(page, "No film has such a name", script=visitor.script)
    expect(page.locator("#guess-error")).to_contain_text("It has cost no try")
    expect(page.get_by_label("Which film is it?")).to_have_attribute("aria-invalid", "true")
    guess(page, wrong[0], script=visitor.script)
    guess(page, wrong[0], script=visitor.script)
    expect(page.locator("#guess-error")).to_contain_text("before")
    guess(page, f"  {answer.upper()}", script=visitor.script)
    expect(page.locator("#quiz-left")).to_have_text("You have it!")
    expect(page.locator("#quiz-answer")).to_have_text(answer)
    expect(page.locator("#quiz-guesses .right")).to_have_count(1)
    expect(page.locator("#quiz-streak")).to_contain_text("Days in a row: 1")
    share = page.locator("#quiz-share").inner_text()
    assert "https://harbour.test/quiz/" in share, f"expected to be led here, got {share!r}"
    assert_untold(share, answer)
    assert_fits(page)


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_titles_while_typing(browser, titles, answer, width):
    """By keyboard alone, from the first letters to the guess."""
    wanted = next(title for title in titles if title.startswith("Casino") and title != answer)
    with visit(browser, width) as one:
        page = one.page()
        page.goto("/quiz/")
        field = page.get_by_role("combobox", name="Which film is it?")
        field.focus()
        page.keyboard.type("casin", delay=20)
        options = page.get_by_role("option")
        expect(options.first).to_be_visible()
        expect(field).to_have_attribute("aria-expanded", "true")
        assert_fits(page)
        for _ in range(options.all_inner_texts().index(wanted) + 1):
            page.keyboard.press("ArrowDown")
        expect(field).to_have_attribute("aria-activedescendant", re.compile(r"quiz-title-\d"))
        page.keyboard.press("Enter")
        expect(field).to_have_value(wanted)
        expect(options).to_have_count(0)
        page.keyboard.press("Enter")
        expect(page.locator("#quiz-guesses .missed")).to_contain_text(wanted)
        expect(field).to_be_focused()
        expect(field).to_have_value("")


def test_telling_others(browser, answer):
    """A click copies the result."""
    with visit(browser, permissions=["clipboard-read", "clipboard-write"]) as one:
        page = one.page()
        page.goto("/quiz/")
        guess(page, answer, script=True)
        page.get_by_role("button", name="Copy it").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.locator("#quiz-share").inner_text(), f"expected the result, got {copied!r}"


def test_films_before(visitor, yesterday: Callable[[], str]):
    """What is over is told, and what is not is not there."""
    day = yesterday()
    page = visitor.page()
    page.goto("/quiz/archive")
    assert_fits(page)
    film = page.locator("tbody th").first.inner_text()
    page.locator("tbody a").first.click()
    expect(page.locator(".lead")).to_contain_text(film)
    assert page.url.endswith(day), f"expected the film of {day}, got {page.url}"
    visitor.refused.add(404)
    page.goto("/quiz/archive/2999-01-01")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing moored here")


@pytest.fixture
def yesterday(machine) -> Callable[[], str]:
    """Have a film been yesterday's: one of another day will do."""

    def begin() -> str:
        query = (
            "REPLACE INTO quiz_days (day, film)"
            " SELECT MAX(day) - INTERVAL 1 DAY, SUBSTRING_INDEX(GROUP_CONCAT(film ORDER BY day DESC), ',', 1)"
            " FROM quiz_days; SELECT day FROM quiz_days ORDER BY day DESC LIMIT 1, 1"
        )
        return machine.check_output("mysql --batch --skip-column-names harbour --execute %s", query)

    return begin
