"""Do not attack. The site is first deployed with this package."""


def run():
    return {"attacked": False}
