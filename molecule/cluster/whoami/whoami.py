"""Return the headers of a request and the name of the host. Append posted text to a file."""

import os
import socket
import time

from flask import Flask, request

app = Flask(__name__)


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
