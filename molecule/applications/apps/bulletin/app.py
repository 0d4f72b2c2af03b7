"""A bulletin with two configuration files that are not in its repository: settings and a signing key."""

import hmac
import os
from pathlib import Path

from flask import Flask

app = Flask(__name__)
app.config.from_pyfile(os.environ["BULLETIN_SETTINGS"])
key = Path(os.environ["BULLETIN_KEY"]).read_bytes()


@app.get("/")
def home():
    title = app.config["TITLE"]
    return {"title": title, "signature": hmac.new(key, title.encode(), "sha256").hexdigest()}
