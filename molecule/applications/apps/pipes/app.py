"""An application with requirements that Pipenv locked."""

from importlib.metadata import distributions

import humanize
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    return {
        "metres": humanize.intcomma(12000),
        "installed": sorted(each.name.lower() for each in distributions()),
    }
