"""Plugins that the application loads by their entry points."""


def julian():
    return "thirteen days behind"
