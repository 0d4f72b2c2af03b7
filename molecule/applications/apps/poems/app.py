"""An application with an optional dependency, and one from a second index."""

from importlib.metadata import distributions

import house_motto
import humanize
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    installed = sorted(each.name.lower() for each in distributions())
    return {"motto": house_motto.MOTTO, "verses": humanize.ordinal(2), "installed": installed}
