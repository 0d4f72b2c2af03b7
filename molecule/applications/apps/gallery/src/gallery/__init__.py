"""A wall of pictures' titles: kept in SQLite, and read from Memcached while nothing is new."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

from flask import Flask, redirect, render_template, request, url_for
from pymemcache.client.base import Client


def create_app() -> Flask:
    app = Flask(__name__)
    # Flask's own place for it: `instance` beside the package.
    Path(app.instance_path).mkdir(exist_ok=True)
    file = Path(app.instance_path) / "gallery.sqlite"
    names = json.loads((Path(app.static_folder) / "dist/names.json").read_text())
    cache = Client(f"unix:{os.environ['MEMCACHED_SOCKET']}", timeout=2)

    def ask(query: str, *values: str) -> list[tuple[str]]:
        with sqlite3.connect(file) as connection:
            return connection.execute(query, values).fetchall()

    ask("CREATE TABLE IF NOT EXISTS picture (title TEXT NOT NULL)")

    @app.get("/")
    def wall() -> str:
        kept = cache.get("titles")
        titles = json.loads(kept) if kept else [title for (title,) in ask("SELECT title FROM picture")]
        if not kept:
            cache.set("titles", json.dumps(titles), expire=600)
        origin = "memcached" if kept else "sqlite"
        return render_template("wall.html", titles=titles, names=names, origin=origin)

    @app.post("/")
    def hang() -> object:
        ask("INSERT INTO picture VALUES (?)", request.form["title"])
        cache.delete("titles")
        return redirect(url_for("wall"))

    return app
