"""Return the headers of a request and the name of the host, keep WebSockets open, append posts to a file."""

import os
import socket
import time
from pathlib import Path

from flask import Flask, request
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)
RELEASE = Path.cwd().resolve().name


@app.get("/healthz")
def healthz():
    return "ok"


@app.route("/", methods=["GET", "POST"])
def whoami():
    time.sleep(min(float(request.args.get("seconds", 0)), 20))
    posted = request.get_data(as_text=True)
    if posted:
        # One write, so that lines of several workers do not mix.
        file = os.open("/srv/whoami/shared/posts", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, f"{posted}\n".encode())
        os.close(file)
    names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Host")
    return {
        "host": socket.gethostname(),
        "posted": posted,
        **{name: request.headers.getlist(name) for name in names},
    }


@sock.route("/ws")
def echo(ws):
    ws.send(f"{socket.gethostname()} {RELEASE}")
    while True:
        ws.send(ws.receive())
