"""A web application with a process and a timer."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    return "jobs"
