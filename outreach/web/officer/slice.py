"""What the modules of the officer's slice share: its blueprint."""

from flask import Blueprint

blueprint = Blueprint("officer", __name__)
