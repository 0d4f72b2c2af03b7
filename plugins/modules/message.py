"""Documentation of the action plugin of this name, which does all of the work on the controller."""

DOCUMENTATION = r"""
module: message
short_description: Print lines to the operator
options:
  lines: {description: The lines., type: list, elements: str, required: true}
  level:
    description: Whether they are printed to stdout (info), or to stderr and marked as a warning.
    type: str
    choices: [info, warning]
    default: info
"""
