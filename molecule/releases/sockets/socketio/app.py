"""Socket.IO with Flask-SocketIO, in greenlets."""

from pathlib import Path

from flask import Flask
from flask_socketio import SocketIO, send

app = Flask(__name__)
socketio = SocketIO(app)
RELEASE = Path.cwd().resolve().name


@app.get("/")
def home():
    return RELEASE


@socketio.on("connect")
def connect():
    send(RELEASE)


@socketio.on("message")
def echo(message):
    send(message)
