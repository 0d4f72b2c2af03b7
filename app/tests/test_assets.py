"""Static files may be cached for ever, since their URLs change with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Flask, url_for
from flask.testing import FlaskClient


def test_urls_carry_the_hash_of_the_content(app: Flask, client: FlaskClient) -> None:
    content = Path(app.static_folder, "style.css").read_bytes()
    version = hashlib.sha256(content).hexdigest()[:12]
    with app.test_request_context():
        url = url_for("static", filename="style.css")
    assert url == f"/static/style.css?v={version}"
    with client.get(url) as response:
        assert response.data == content


def test_a_missing_file_has_a_url_without_it(app: Flask) -> None:
    with app.test_request_context():
        assert url_for("static", filename="none.css") == "/static/none.css"


def test_other_urls_are_left_alone(app: Flask) -> None:
    with app.test_request_context():
        assert url_for("home.index") == "/"


def test_every_kind_has_its_drawing(app: Flask) -> None:
    drawings = {path.stem for path in Path(app.static_folder, "kinds").iterdir()}
    assert drawings == {kind.value for kind in app.jinja_env.globals["kinds"]}
