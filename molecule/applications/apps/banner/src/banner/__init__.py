"""A banner with colours from a generated module and a generated stylesheet."""

from flask import Flask, url_for

from banner.palette import COLOURS

app = Flask(__name__)


@app.get("/")
def home():
    return {"title": COLOURS["title"], "stylesheet": url_for("static", filename="banner.css")}
