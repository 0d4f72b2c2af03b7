"""Shows what arrives, and answers as it is told to: made to be shown to the wrong visitor."""

import os
import secrets
import time

from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/healthz")
def healthz():
    return secrets.token_hex(8), {"Cache-Control": "public, max-age=60"}


@app.route("/seen", methods=["GET", "POST", "PUT"])
def seen():
    """What arrived of a request."""
    answer = Response(response=app.json.dumps(request.headers.to_wsgi_list()), mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer


@app.route("/say/<path:name>", methods=["GET", "HEAD", "POST", "PUT", "PROPFIND"])
def say(name):
    """A page that is made for one visitor, with any headers: h=Name:value, a status, seconds to wait."""
    time.sleep(float(request.args.get("seconds", 0)))
    status, mark = int(request.args.get("status", 200)), f"/tmp/{name.replace('/', '_')}"
    if name.startswith("failing"):  # for whoever comes after the first
        status = 500 if os.path.exists(mark) else status
        open(mark, "w").close()
    page = {
        "number": secrets.token_hex(8),
        "cookie": request.headers.get("Cookie", ""),
        "password": request.headers.get("Authorization", ""),
        "method": request.headers.get("X-HTTP-Method-Override", request.method),
        "body": request.get_data(as_text=True),
        "language": request.headers.get("Accept-Language", ""),
        "host": request.host,
        "query": request.query_string.decode(),
    }
    answer = Response(app.json.dumps(page), status=status, mimetype="text/html")
    for line in request.args.getlist("h"):
        header, _, value = line.partition(":")
        answer.headers[header] = value
    return answer


@app.get("/text")
def text():
    return Response("<p>A page that is worth compressing.</p>\n" * 200, mimetype="text/html")


@app.get("/with/")
def with_slash():
    return "with"


@app.get("/without")
def without_slash():
    return "without"


@app.get("/either", strict_slashes=False)
def either():
    return "either"
