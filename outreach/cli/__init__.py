"""The command line: run the product, its parts, and the offline checks. `python -m outreach --help`."""

from outreach.cli import audit, keys, people, running, store
from outreach.cli.root import main

__all__ = ["audit", "keys", "main", "people", "running", "store"]
