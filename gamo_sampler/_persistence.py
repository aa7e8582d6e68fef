"""The container of saved state: JSON and tensors in one file, checked when read."""

import hashlib
import json
import os
import secrets
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

NAME = b"gamo_sampler"
MAJOR, MINOR = 1, 0
LONGEST_LINE = 64
DIGITS = hashlib.sha256().digest_size * 2
# safetensors reads no more than 10^8 bytes of JSON, names and shapes included.
MAX_HEADER = 9 * 10**7
# What safetensors and json raise on content that they do not understand.
NOT_UNDERSTOOD = (
    SafetensorError,
    AssertionError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class OtherFileError(ValueError):
    """A file that was not written as what it is read as."""


def write_file(path, kind, header, tensors):
    """Write a file at `path`, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        Its name. What a link leads to is written, and the link stays.
    kind : str
        What the file holds, which `read_file` is told again.
    header : dict
        What strict JSON can hold: names are text, and floats are finite.
    tensors : dict
        Dense tensors by name, on any device.
    """
    payload = _payload(kind, header, tensors)
    first = b"%s %d.%d\n" % (NAME, MAJOR, MINOR)
    with _replaced(Path(os.path.realpath(os.fsdecode(path)))) as file:
        file.write(first + _digest(first, payload) + b"\n")
        file.write(payload)


def read_file(path, kind):
    """The header and the tensors that `write_file` was given.

    Parameters
    ----------
    path : str or path-like
        Its name. Nothing in the file is executed.
    kind : str
        What it has to hold.

    Returns
    -------
    header : dict
        As from JSON.
    tensors : dict
        Tensors by name, on the CPU.

    Raises
    ------
    ValueError
        Where it is damaged, or of a newer format; an `OtherFileError` where it is
        another kind of file.
    OSError
        Where the system cannot read it; `FileNotFoundError` where there is none.
    """
    try:
        payload = _checked_payload(path)
        tensors = load(payload)
        _check_booleans(tensors)
        found, header = _text(payload)
    except NOT_UNDERSTOOD as error:
        kind_of_error = OtherFileError if type(error) is OtherFileError else ValueError
        message = f"{os.fsdecode(path)} cannot be loaded: {error}"
        raise kind_of_error(message) from error
    if found != kind:
        raise OtherFileError(
            f"{os.fsdecode(path)} holds {found!r}, but {kind!r} was to be read."
        )
    return header, tensors


def _payload(kind, header, tensors):
    text = json.dumps(header, allow_nan=False)
    if len(json.dumps(text)) > MAX_HEADER:
        raise ValueError(
            f"What is to be written as JSON has {len(text)} characters, too many for "
            f"{MAX_HEADER} bytes."
        )
    # Copies, as tensors that share memory or are not contiguous are refused.
    copies = {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }
    return save(copies, {"kind": kind, "header": text})


def _text(payload):
    """Kind and header, of a payload that safetensors has found well formed."""
    length = int.from_bytes(payload[:8], "little")
    metadata = json.loads(payload[8 : 8 + length]).get("__metadata__", {})
    header = json.loads(metadata.get("header", "null"))
    if not isinstance(header, dict):
        raise ValueError("its metadata has no header, a JSON object.")
    return metadata.get("kind"), header


def _check_booleans(tensors):
    """Other bytes than 0 and 1 would be neither true nor false."""
    for name, tensor in tensors.items():
        if tensor.dtype == torch.bool and (tensor.view(torch.uint8) > 1).any():
            raise ValueError(f"tensor {name!r} has other bytes than 0 and 1.")


def _digest(first, payload):
    """SHA-256 of the first line and the payload, as hexadecimal digits."""
    digest = hashlib.sha256(first)
    digest.update(payload)
    return digest.hexdigest().encode()


def _checked_payload(path):
    """The bytes after the digest, which are those that it was made of."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is no file, but a folder or a device.")
    with open(path, "rb") as file:
        first = file.readline(LONGEST_LINE)
        _check_version(first)
        digest = file.read(DIGITS + 1)
        payload = file.read()
    if digest != _digest(first, payload) + b"\n":
        raise ValueError(
            "it is damaged or cut short: its SHA-256 is that of other content."
        )
    return payload


def _check_version(line):
    name, _, version = line.removesuffix(b"\n").partition(b" ")
    major, _, minor = version.partition(b".")
    if name != NAME or not (major.isdigit() and minor.isdigit()):
        # One that is cut short may be ours all the same.
        raise (ValueError if NAME.startswith(name) else OtherFileError)(
            f"it is another kind of file, or damaged: it starts with {line[:24]!r}, "
            f"not with {NAME!r} and a version."
        )
    if int(major) > MAJOR:
        raise ValueError(
            f"its format is {version.decode()}, and this version of gamo_sampler reads "
            f"formats up to {MAJOR}. A newer one is needed."
        )


@contextmanager
def _replaced(path):
    """A file to write, that takes the place of `path` once it is on the disk."""
    replaces = path.exists()
    if replaces:
        open(path, "r+b").close()  # or an error: a name can be replaced all the same
    new = path.with_name(f".{NAME.decode()}-{secrets.token_hex(8)}")
    try:
        with open(new, "xb") as file:
            if replaces:
                shutil.copymode(path, new)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder):
    """Its names on the disk, where the system can open folders."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
