"""Log lines: one JSON object each on standard error, refs and rule names only, never an address or a token."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from outreach.domain.addresses import scrub


def configure_logs(level: str) -> None:
    """Set up structlog and the standard library's logging the same way, for the whole process."""
    number = getattr(logging, level.upper())
    logging.basicConfig(level=max(number, logging.WARNING), format="%(message)s", stream=sys.stderr, force=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _scrubbed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _scrubbed(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last gate: whatever reached a log line, no address leaves in it."""
    line.update({key: scrub(value) for key, value in line.items() if isinstance(value, str)})
    return line
