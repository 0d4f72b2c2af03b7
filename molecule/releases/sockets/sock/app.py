"""WebSockets and a stream of server-sent events with flask-sock, in threads."""

import time
from pathlib import Path

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)
RELEASE = Path.cwd().resolve().name


@app.get("/")
def home():
    return RELEASE


@sock.route("/ws")
def echo(ws):
    ws.send(RELEASE)
    while True:
        ws.send(ws.receive())


@app.get("/events")
def events():
    def lines():
        for number in range(50):
            yield f"data: {number}\n\n"
            time.sleep(0.2)

    return lines(), {"Content-Type": "text/event-stream"}
