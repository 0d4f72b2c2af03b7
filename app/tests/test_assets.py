"""Static files with a hash in their URLs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

import build
from harbour import create_app


def test_url_contains_hash_of_content(app: Flask, client: FlaskClient) -> None:
    content = Path(app.static_folder, "style.css").read_bytes()
    version = hashlib.sha256(content).hexdigest()[:12]
    with app.test_request_context():
        url = url_for("static", filename="style.css")
    assert url == f"/static/style.css?v={version}"
    with client.get(url) as response:
        assert response.data == content


def test_url_of_missing_file_has_no_hash(app: Flask) -> None:
    with app.test_request_context():
        assert url_for("static", filename="none.css") == "/static/none.css"


def test_url_of_page_has_no_hash(app: Flask) -> None:
    with app.test_request_context():
        assert url_for("home.index") == "/"


def test_every_kind_has_drawing(app: Flask) -> None:
    drawings = {path.stem for path in Path(app.static_folder, "kinds").iterdir()}
    assert drawings == {kind.value for kind in app.jinja_env.globals["kinds"]}


# --- Copies with a hash in their names, created once per release -------------------------------


@pytest.fixture
def build_folder(tmp_path: Path) -> Path:
    """Return a folder of static files and their copies with a hash."""
    folder = tmp_path / "static"
    shutil.copytree(build.STATIC, folder, ignore=shutil.ignore_patterns(build.OUTPUT))
    build.build(folder)
    return folder


def test_build_copies_files_to_names_with_hash(build_folder: Path) -> None:
    names = json.loads((build_folder / "dist/manifest.json").read_text())
    sources = {str(path.relative_to(build_folder)) for path in build_folder.rglob("*") if path.is_file()}
    sources = {name for name in sources if not name.startswith("dist/")}
    assert names.keys() == sources
    for old, new in names.items():
        content = (build_folder / old).read_bytes()
        assert hashlib.sha256(content).hexdigest()[:12] in new
        assert (build_folder / new).read_bytes() == content
    assert re.fullmatch(r"dist/kinds/flat\.[0-9a-f]{12}\.svg", names["kinds/flat.svg"])
    assert build.build(build_folder) == names  # idempotent; also removes the copies of deleted files
    (build_folder / "touch.png").unlink()
    assert "touch.png" not in build.build(build_folder)
    assert not list((build_folder / "dist").glob("touch*"))


def test_stylesheet_has_no_references(build_folder: Path) -> None:
    """The build does not rewrite references to other files."""
    for path in build_folder.rglob("*.css"):
        assert "url(" not in path.read_text()


def test_page_uses_names_with_hash(
    build_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harbour.Flask", partial(Flask, static_folder=str(build_folder)))
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "SECRET_KEY": "test"}
    page = create_app(settings).test_client().get("/nowhere").text
    [style] = re.findall(r'href="(/static/dist/style\.[0-9a-f]{12}\.css)"', page)
    assert "?v=" not in page
    client = create_app(settings).test_client()
    for path, cached in (
        (style, "public, max-age=31536000, immutable"),
        ("/static/style.css", "public, max-age=300"),
        ("/static/style.css?v=000000000000", "public, max-age=300"),
    ):
        with client.get(path) as response:
            assert response.status_code == 200
            got = set(response.headers["Cache-Control"].split(", "))
            assert got == set(cached.split(", ")), path


def test_debug_mode_ignores_names_with_hash(
    build_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harbour.Flask", partial(Flask, static_folder=str(build_folder)))
    monkeypatch.setenv("FLASK_DEBUG", "1")
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "SECRET_KEY": "test"}
    assert "/static/style.css?v=" in create_app(settings).test_client().get("/nowhere").text
