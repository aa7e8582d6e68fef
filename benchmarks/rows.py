"""Rows of results: one JSON object per line, appended as runs end."""

import json
from pathlib import Path

KEY = ("protocol", "condition", "loss", "method", "learner", "seed")


def key(row):
    """What tells one row from another."""
    return tuple(row[name] for name in KEY)


def read(path):
    """The rows of a file, none where there is no file.

    Without the last line where it is half written, as a stopped run leaves it.
    """
    path = Path(path)
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [_parse(line, path, number) for number, line in enumerate(lines, 1)]


def _parse(line, path, number):
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {number} is not a row of JSON ({error}). Only a last line "
            "may be cut off; delete this one to have its run done again."
        ) from error


class Writer:
    """Appends rows that are not there yet, each of them on disk at once.

    Parameters
    ----------
    path : str or Path
        The file, made where there is none. A half-written last line is cut off, so
        no other process may be writing to it.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.keys = {key(row) for row in read(path)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._cut_off_half_a_line()

    def add(self, row):
        if key(row) in self.keys:
            return
        with self.path.open("a") as file:  # closing it flushes
            file.write(json.dumps(row) + "\n")
        self.keys.add(key(row))

    def _cut_off_half_a_line(self):
        with self.path.open("a+b") as file:
            file.seek(0)
            text = file.read()
            if not text.endswith(b"\n"):
                file.truncate(text.rfind(b"\n") + 1)
