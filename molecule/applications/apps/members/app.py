"""An application with one requirement in a private index."""

from importlib.metadata import version

import house_motto
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    return {"motto": house_motto.MOTTO, "version": version("house-motto")}
