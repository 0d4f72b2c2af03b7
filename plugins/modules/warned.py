"""Documentation of the action plugin of this name, which does all of the work on the controller."""

DOCUMENTATION = r"""
module: warned
short_description: Warn of something that stops nobody
options:
  lines: {description: What is said; nothing where it is empty., type: list, elements: str, required: true}
"""
