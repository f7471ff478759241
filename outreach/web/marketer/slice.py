"""The blueprint the marketer's pages hang on."""

from flask import Blueprint

blueprint = Blueprint("marketer", __name__)
