"""The root project of a workspace; what it shows comes from a member."""

from importlib.metadata import version

from apples import VARIETIES
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    return {"varieties": VARIETIES, "apples": version("apples")}
