"""The blueprint the pages of conversations hang on."""

from flask import Blueprint

blueprint = Blueprint("conversations", __name__)
