"""An application with all its requirements as wheels in its repository."""

from pathlib import Path

from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    return {"network": Path("reach.txt").read_text()}
