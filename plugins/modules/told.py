"""Documentation of the action plugin of this name, which does all of the work on the controller."""

DOCUMENTATION = r"""
module: told
short_description: Say something to whoever runs the play
options:
  lines: {description: What is said., type: list, elements: str, required: true}
"""
