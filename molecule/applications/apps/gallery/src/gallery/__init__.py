"""Titles of pictures, stored in SQLite and cached in Memcached."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

from flask import Flask, redirect, render_template, request, url_for
from pymemcache.client.base import Client


def create_app() -> Flask:
    app = Flask(__name__)
    # Flask's default: the folder `instance` next to the package.
    Path(app.instance_path).mkdir(exist_ok=True)
    file = Path(app.instance_path) / "gallery.sqlite"
    names = json.loads((Path(app.static_folder) / "dist/names.json").read_text())
    cache = Client(f"unix:{os.environ['MEMCACHED_SOCKET']}", timeout=2)

    def execute(statement: str, *values: str) -> list[tuple[str]]:
        with sqlite3.connect(file) as connection:
            return connection.execute(statement, values).fetchall()

    execute("CREATE TABLE IF NOT EXISTS picture (title TEXT NOT NULL)")

    @app.get("/")
    def wall() -> str:
        cached = cache.get("titles")
        titles = (
            json.loads(cached) if cached else [title for (title,) in execute("SELECT title FROM picture")]
        )
        if not cached:
            cache.set("titles", json.dumps(titles), expire=600)
        origin = "memcached" if cached else "sqlite"
        return render_template("wall.html", titles=titles, names=names, origin=origin)

    @app.post("/")
    def add() -> object:
        execute("INSERT INTO picture VALUES (?)", request.form["title"])
        cache.delete("titles")
        return redirect(url_for("wall"))

    return app
