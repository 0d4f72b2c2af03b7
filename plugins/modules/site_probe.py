"""Documentation of the action plugin of this name, which does all of the work on the controller."""

DOCUMENTATION = r"""
module: site_probe
short_description: Probe a site at its public address, as a client does, from the controller
options:
  url: {description: The URL of the request., type: str, required: true}
  address: {description: "The address to connect to, if the name does not resolve to it yet.", type: str}
  ca: {description: A file with the CA of the certificate., type: path}
  verified: {description: Whether the certificate is verified., type: bool, required: true}
  release: {description: The expected value of X-Release., type: str}
"""
