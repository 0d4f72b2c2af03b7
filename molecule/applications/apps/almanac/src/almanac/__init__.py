"""An almanac that reads its version and its calendars from its own package metadata."""

from importlib.metadata import entry_points, version
from pathlib import Path

from flask import Flask

__version__ = version("almanac")
calendars = {each.name: each.load() for each in entry_points(group="almanac.calendars")}
app = Flask(__name__)


@app.get("/")
def home():
    journal = Path("data/journal").read_text().splitlines()
    names = {name: calendar() for name, calendar in calendars.items()}
    return {"version": __version__, "calendars": names, "journal": journal}
