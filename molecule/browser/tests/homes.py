"""Steps of several tests: offer and publish homes."""

from __future__ import annotations

from pathlib import Path

from browsing import visit
from playwright.sync_api import Browser, Page, expect

DESCRIPTION = (
    "Every window looks at the water, and the one on the stairs looks at the lighthouse.\n\n"
    "The kitchen is new, the range is not, and both work. Bring a dog."
)
# Gradients behind the drawings that replace photographs.
SKIES = ("#bfe0e6, #f7f0dc", "#f6cfa8, #fdf0d6", "#9dcbdc, #e8f1ea")


def photograph(browser: Browser, drawings: Path, folder: Path) -> list[Path]:
    """Write three JPEGs with Harbour's drawings, and return their paths."""
    paths = []
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    for kind, sky in zip(("house", "cottage", "houseboat"), SKIES, strict=True):
        drawing = (drawings / f"{kind}.svg").read_text()
        page.set_content(
            f"<style>body {{ margin: 0; background: linear-gradient({sky} 70%) }}"
            f" svg {{ width: 100vw; height: 100vh }}</style>{drawing}"
        )
        paths.append(folder / f"{kind}.jpg")
        page.screenshot(path=paths[-1], type="jpeg", quality=90)
    page.close()
    return paths


def fill(page: Page, title: str, photos: list[Path]) -> None:
    """Fill in the form for a home."""
    page.get_by_label("Headline").fill(title)
    page.get_by_label("Kind of home").select_option("House")
    page.get_by_label("Asking price").fill("425,000")
    page.get_by_label("Bedrooms").fill("3")
    page.get_by_label("Bathrooms").fill("2")
    page.get_by_label("Area in m²").fill("140")
    page.get_by_label("Street and number").fill("7 Ropewalk")
    page.get_by_label("Neighbourhood").fill("Old Quay")
    page.get_by_label("Description").fill(DESCRIPTION)
    page.get_by_label("Photos").set_input_files(photos)
    page.get_by_label("Your name").fill("Ada Byron")
    page.get_by_label("Your e-mail address").fill("ada@example.com")


def offer(page: Page, title: str, photos: list[Path], clicks: int = 1) -> str:
    """Offer a home and return its reference. `clicks` is the number of clicks on the button."""
    page.goto("/submit")
    fill(page, title, photos)
    page.get_by_role("button", name="Send it in").click(click_count=clicks)
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you")
    return page.locator(".reference").inner_text()


def log_in(page: Page, login: tuple[str, str]) -> None:
    page.goto("/admin/")
    page.get_by_label("Name").fill(login[0])
    page.get_by_label("Password").fill(login[1])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pending")


def publish(page: Page, reference: str) -> None:
    """Publish a home. The page belongs to a moderator with a session."""
    page.goto("/admin/")
    page.locator("tr", has_text=reference).get_by_role("link").click()
    page.get_by_role("button", name="Publish it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pending")


def publish_new(browser: Browser, login: tuple[str, str], title: str, photos: list[Path]) -> str:
    """Offer a home and publish it. Return its path."""
    with visit(browser) as visitor:
        reference = offer(visitor.page(), title, photos)
    with visit(browser) as moderator:
        page = moderator.page()
        log_in(page, login)
        publish(page, reference)
    return f"/listings/{int(reference.removeprefix('H-'))}"
