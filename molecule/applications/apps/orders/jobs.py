"""Jobs of the worker."""

from app import Order, app, db


def bake(number):
    with app.app_context():
        db.session.get(Order, number).state = "baked"
        db.session.commit()
