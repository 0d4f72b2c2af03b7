"""An application of many packages for `make bench`: it names the version of the package that changes."""

from importlib.metadata import version

import flask
import pandas  # a large dependency is imported, so that it has to be complete

app = flask.Flask(__name__)


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/")
def home() -> str:
    return f"humanize {version('humanize')}, pandas {pandas.__version__}\n"
