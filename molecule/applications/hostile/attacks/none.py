"""No attack: the package that the site begins with."""


def run():
    return {"attacked": False}
