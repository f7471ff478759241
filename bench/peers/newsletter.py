"""django-newsletter as a peer: a small Django site, one submission to a list, sent by its command.

It has no settings for speed beyond not waiting between mails; it opens a connection for each mail, by itself.
"""

import subprocess
import tempfile
import time
from pathlib import Path

from bench.peers.environment import programs, surroundings


class Newsletter:
    """A site in a folder of its own, made anew for each sending."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._python = str(programs("newsletter") / "python")

    def send(self, count: int, smtp_port: int) -> float:
        """Seconds from submitting to `count` readers until the last mail was accepted by the relay."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            process = self._start(Path(folder) / "site.sqlite3", count, smtp_port)
            with process:
                assert process.stdin is not None
                assert process.stdout is not None
                try:
                    self._expect("ready", process.stdout.readline())
                    began = time.perf_counter()
                    process.stdin.write("go\n")
                    process.stdin.flush()
                    failed = process.stdout.readline()
                    took = time.perf_counter() - began
                finally:
                    process.stdin.close()
            self._expect("0", failed)
        return took

    def _start(self, database: Path, count: int, smtp_port: int) -> "subprocess.Popen[str]":
        named = {"PEER_DATABASE": str(database), "PEER_SMTP_PORT": str(smtp_port)}
        env = surroundings(DJANGO_SETTINGS_MODULE="bench.peers.site.settings", **named)
        command = [self._python, "-m", "bench.peers.site.send", str(count)]
        return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own words

    @staticmethod
    def _expect(said: str, line: str) -> None:
        if line.strip() != said:
            raise RuntimeError(f"django-newsletter said {line.strip()!r}, not {said!r}")
