"""Orders of a bakery, stored in MySQL with a picture each, and baked by a worker with a queue in Redis."""

import os
import secrets
from pathlib import Path

from flask import Flask, redirect, render_template, request, url_for
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from rq import Queue
from sqlalchemy import URL

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
app.config["SQLALCHEMY_DATABASE_URI"] = URL.create(
    "mysql+pymysql",
    username=os.environ["DB_USER"],
    password=os.environ["DB_PASSWORD"],
    host=os.environ["DB_HOST"],
    database=os.environ["DB_NAME"],
)
db = SQLAlchemy(app)
migrate = Migrate(app, db)
queue = Queue(connection=Redis.from_url(os.environ["REDIS_URL"]))
uploads = Path(app.static_folder) / "uploads"


class Cake(db.Model):
    name = db.Column(db.String(60), primary_key=True)


class Order(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    cake = db.Column(db.ForeignKey("cake.name"), nullable=False)
    picture = db.Column(db.String(60))
    state = db.Column(db.String(20), nullable=False, default="waiting")


@app.cli.command("fill-the-shelf")
def fill_the_shelf():
    """Add the cakes."""
    db.session.add_all(Cake(name=name) for name in ("Sachertorte", "Linzertorte"))
    db.session.commit()


@app.get("/")
def home():
    return render_template("home.html", cakes=Cake.query.all(), orders=Order.query.all())


@app.post("/")
def create_order():
    order = Order(cake=request.form["cake"])
    if picture := request.files.get("picture"):
        order.picture = secrets.token_hex(8) + ".png"
        picture.save(uploads / order.picture)
    db.session.add(order)
    db.session.commit()
    queue.enqueue("jobs.bake", order.id, result_ttl=-1)
    return redirect(url_for("home"))


@app.get("/healthz")
def health():
    queue.connection.ping()
    return f"{Cake.query.count()} cakes"
