"""Return requests as they arrived, and responses for one client, which a cache must not share."""

import os
import secrets
import time

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)


@app.get("/healthz")
def healthz():
    return secrets.token_hex(8), {"Cache-Control": "public, max-age=60"}


@app.route("/seen", methods=["GET", "POST", "PUT"])
def request_headers():
    """Return the headers that arrived."""
    response = Response(response=app.json.dumps(request.headers.to_wsgi_list()), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


@app.get("/environ")
def environ():
    """Return the WSGI environment, with=ProxyFix after this middleware."""
    seen = {}
    application = lambda environ, start_response: seen.update(environ) or []  # noqa: E731
    if request.args.get("with"):
        application = ProxyFix(application, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
    application(dict(request.environ), None)
    values = {key: value for key, value in seen.items() if isinstance(value, str)}
    return values, {"Cache-Control": "no-store"}


@app.route("/page/<path:name>", methods=["GET", "HEAD", "POST", "PUT", "PROPFIND"])
def respond(name):
    """Return a page for one client: h=Name:value adds a header, status replaces 200, seconds is a delay."""
    time.sleep(float(request.args.get("seconds", 0)))
    status, marker = int(request.args.get("status", 200)), f"/tmp/{name.replace('/', '_')}"
    if name.startswith("failing"):  # after the first request
        status = 500 if os.path.exists(marker) else status
        open(marker, "w").close()
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
    response = Response(app.json.dumps(page), status=status, mimetype="text/html")
    for line in request.args.getlist("h"):
        header, _, value = line.partition(":")
        response.headers[header] = value
    return response


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
