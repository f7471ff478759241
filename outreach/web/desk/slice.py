"""The blueprint the desk's pages hang on."""

from flask import Blueprint

blueprint = Blueprint("desk", __name__)
