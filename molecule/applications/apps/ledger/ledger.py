"""A ledger in MySQL. The driver is an extra, and a dependency group formats its numbers."""

import os
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

import humanize
import pymysql
from flask import Flask, request

app = Flask(__name__)


def connect():
    url = urlsplit(os.environ["DATABASE_URL"])
    socket = parse_qs(url.query)["unix_socket"][0]
    return pymysql.connect(user=url.username, database=url.path[1:], unix_socket=socket, autocommit=True)


@app.cli.command("create")
def create():
    """Create the table."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE entry (amount INT NOT NULL)")


@app.get("/")
def home():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(SUM(amount), 0) FROM entry")
        return {"balance": humanize.intcomma(int(cursor.fetchone()[0])), "version": version("ledger")}


@app.post("/")
def enter():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO entry VALUES (%s)", (int(request.form["amount"]),))
    return "", 204
