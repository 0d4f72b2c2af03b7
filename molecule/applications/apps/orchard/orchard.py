"""The root project of a workspace, which requires a member and a package of a private index."""

from importlib.metadata import version

import house_motto
from apples import VARIETIES
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    return {"varieties": VARIETIES, "apples": version("apples"), "motto": house_motto.MOTTO}
