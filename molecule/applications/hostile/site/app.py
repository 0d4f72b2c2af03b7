"""A harmless application, one of whose requirements is hostile."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def home() -> str:
    return "harmless"
