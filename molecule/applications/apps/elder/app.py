"""An application of 2023, with the Python and the packages of that year."""

import platform

import greenlet
from flask import Flask
from sqlalchemy import create_engine, text

app = Flask(__name__)
engine = create_engine("sqlite://")


@app.get("/")
def home():
    with engine.connect() as connection:
        answer = connection.execute(text("SELECT 6 * 7")).scalar()
    return {"answer": answer, "python": platform.python_version(), "greenlet": greenlet.__version__}
