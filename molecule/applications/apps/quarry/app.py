"""An application that requires source distributions and a git repository."""

from importlib.metadata import distribution, version

import docopt
import lyrics
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    arguments = docopt.docopt("Usage: quarry <stone>", ["granite"])
    return {
        "stone": arguments["<stone>"],
        "song": lyrics.SONG,
        "lyrics": version("lyrics"),
        "origin": distribution("lyrics").read_text("direct_url.json"),
    }
