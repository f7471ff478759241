"""The blueprint the administrator's and the topics' pages hang on."""

from flask import Blueprint

blueprint = Blueprint("admin", __name__)
