"""A campaign's segment, JSON as the marketer saved it, as a SQL condition over consent `cs` and contact `c`."""

import json
from typing import Any


def segment_sql(segment: str) -> tuple[str, dict[str, Any]]:
    """(" AND …" or "", its parameters). Values are always bound; only known keys are read (CVE-2025-46011)."""
    wanted = json.loads(segment or "{}")
    conditions: list[str] = []
    params: dict[str, Any] = {}
    locales = list(wanted.get("locales") or [])
    if locales:
        names = [f"segment_locale{i}" for i in range(len(locales))]
        conditions.append(f"c.locale IN ({', '.join(f':{name}' for name in names)})")
        params.update(zip(names, locales, strict=True))
    if wanted.get("agreed_after") is not None:
        conditions.append("cs.since >= :segment_after")
        params["segment_after"] = int(wanted["agreed_after"])
    if wanted.get("agreed_before") is not None:
        conditions.append("cs.since < :segment_before")
        params["segment_before"] = int(wanted["agreed_before"])
    return "".join(f" AND {condition}" for condition in conditions), params
