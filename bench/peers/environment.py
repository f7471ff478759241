"""The peers' own virtual environments, in .bench/: made once from a lock with hashes, then used again."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_KEPT = _ROOT / ".bench"


def programs(peer: str) -> Path:
    """The `bin` of a virtual environment with what `<peer>.txt` beside this module pins."""
    lock = _HERE / f"{peer}.txt"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    folder = _KEPT / peer
    stamp = folder / "made-from"
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"installing {peer} into {folder}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run(*pip, "--require-hashes", "-r", str(lock))
        stamp.write_text(digest)
    return folder / "bin"


def surroundings(**more: str) -> dict[str, str]:
    """The environment of a peer's process: ours, this checkout to import from, byte code kept as installed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return inherited | {"PYTHONPATH": str(_ROOT)} | more


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603  words of this module
