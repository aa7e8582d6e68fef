"""The container: what is written is read, and nothing else is."""

import hashlib
import json
import os
import pickle
import struct
import tempfile
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gamo_sampler import _persistence
from gamo_sampler._persistence import read_file, write_file

HEADER = {"text": "é \u2603", "numbers": [1, 0.1, 1e-300, None, True], "nested": {}}
TENSORS = {
    "float64": torch.arange(12, dtype=torch.float64).view(3, 4) / 7,
    "float32": torch.tensor([0.1, float("nan"), -0.0, float("inf")]),
    "float16": torch.tensor(0.5, dtype=torch.float16),
    "bfloat16": torch.tensor(0.5, dtype=torch.bfloat16),
    "int64": torch.tensor([2**62 + 1, -1]),
    "int16": torch.tensor([[-3]], dtype=torch.int16),
    "uint8": torch.arange(7, dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "empty": torch.zeros(0, 3),
}


def same(a, b):
    return a.dtype == b.dtype and a.numpy(force=True).tobytes() == b.numpy().tobytes()


def written(path, kind="test", header=HEADER, tensors=TENSORS):
    write_file(path, kind, header, tensors)
    return path


def forged(path, payload, first=b"gamo_sampler 1.0\n"):
    """A file with a right hash, whatever it holds."""
    path.write_bytes(first + _persistence._digest(first, payload) + b"\n" + payload)
    return path


def safetensors_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def one_tensor(dtype="F32", shape=(1,), end=4, data=b"1234"):
    spec = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, end]}
    meta = {"kind": "test", "header": "{}"}
    return safetensors_of({"__metadata__": meta, "t": spec}, data)


def refused(path, kind="test", match=None):
    with pytest.raises(ValueError, match=match) as info:
        read_file(path, kind)
    assert path.name in str(info.value)


def test_what_is_written_is_read(tmp_path):
    header, tensors = read_file(written(tmp_path / "file"), "test")
    assert header == HEADER
    assert tensors.keys() == TENSORS.keys()
    for name in set(TENSORS) - {"bfloat16"}:
        assert tensors[name].shape == TENSORS[name].shape
        assert same(tensors[name], TENSORS[name])
    assert torch.equal(tensors["bfloat16"], TENSORS["bfloat16"])


def test_tensors_of_any_layout(tmp_path):
    whole = torch.arange(24, dtype=torch.float32).view(1, 2, 3, 4)
    tensors = {
        "whole": whole,
        "part": whole[..., 1::2],
        "shared": whole.view(-1),
        "transposed": whole.permute(0, 3, 1, 2),
        "last": whole.to(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(whole),
    }
    _, found = read_file(written(tmp_path / "file", tensors=tensors), "test")
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert not any(tensor.requires_grad for tensor in found.values())


def test_layout(tmp_path):
    """As documented: line, digest, safetensors."""
    content = written(tmp_path / "file").read_bytes()
    first, digest, payload = content.split(b"\n", 2)
    assert first == b"gamo_sampler 1.0"
    assert digest.decode() == hashlib.sha256(first + b"\n" + payload).hexdigest()
    (tmp_path / "payload").write_bytes(payload)
    with safe_open(tmp_path / "payload", "pt") as file:
        assert set(file.keys()) == set(TENSORS)
        assert file.metadata() == {"kind": "test", "header": json.dumps(HEADER)}


def test_same_content_gives_the_same_bytes(tmp_path):
    a, b = (written(tmp_path / name).read_bytes() for name in "ab")
    assert a == b


@pytest.mark.parametrize("name", ["plain", "with.suffix", "sp ace", "é", "n" * 255])
@pytest.mark.parametrize("kind", [str, os.fspath, os.fsencode, lambda path: path])
def test_written_exactly_there(tmp_path, name, kind):
    path = kind(tmp_path / name)
    written(path)
    assert os.listdir(tmp_path) == [name]
    assert read_file(path, "test")[0] == HEADER


def test_every_truncation_is_refused(tmp_path):
    content = written(tmp_path / "file").read_bytes()
    cut = tmp_path / "cut"
    for n in range(len(content)):
        cut.write_bytes(content[:n])
        refused(cut)
    cut.write_bytes(content + b"\n")
    refused(cut, match="SHA-256")


def test_a_thousand_random_flips_are_refused(tmp_path):
    content = written(tmp_path / "file").read_bytes()
    flipped, rng = tmp_path / "flipped", np.random.default_rng(0)
    for _ in range(1000):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= rng.integers(1, 256)
        flipped.write_bytes(damaged)
        refused(flipped)


def test_every_bit_of_the_first_two_lines_counts(tmp_path):
    content = written(tmp_path / "file").read_bytes()
    flipped = tmp_path / "flipped"
    for bit in range(8 * (17 + 65 + 16)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        flipped.write_bytes(damaged)
        refused(flipped)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def foreign_files(path):
    yield path.write_bytes(b"")
    yield path.write_bytes(b"\n" * 1000)
    yield path.write_bytes(os.urandom(1000))
    yield path.write_bytes(pickle.dumps(Bomb()))
    yield torch.save({"state": torch.zeros(3)}, path)
    yield torch.save(Bomb(), path)
    yield save_file(TENSORS, path)
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    yield path.with_suffix(".npz").replace(path)


def test_other_kinds_of_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file"
    for _ in foreign_files(path):
        refused(path, match="another kind of file")
    assert not (tmp_path / "exploded").exists()


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_file(tmp_path / "nothing", "test")
    refused(tmp_path, match="folder")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", match="device")


def test_another_kind_of_ours(tmp_path):
    refused(written(tmp_path / "file"), "checkpoint", match="'test'.*'checkpoint'")


def test_versions(tmp_path):
    path = tmp_path / "file"
    payload = one_tensor()
    for first in [b"gamo_sampler 1.7\n", b"gamo_sampler 1.10\n"]:
        assert list(read_file(forged(path, payload, first), "test")[1]) == ["t"]
    forged(path, b"whatever comes then", b"gamo_sampler 2.0\n")
    refused(path, match=r"format is 2\.0.*newer")
    for first in [b"gamo_sampler 1\n", b"gamo_sampler 1.x\n", b"gamo_sampler -1.0\n"]:
        refused(forged(path, payload, first), match="another kind of file")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 2**63),
        safetensors_of(b"\xff" * 10),
        safetensors_of(b"[" * 10**5),
        safetensors_of({}),
        safetensors_of({"__metadata__": {}}),
        safetensors_of({"__metadata__": {"kind": "test"}}),
        safetensors_of({"__metadata__": {"kind": "test", "header": "[]"}}),
        safetensors_of({"__metadata__": {"kind": "test", "header": "{"}}),
        safetensors_of({"__metadata__": {"kind": "test", "header": "[" * 10**5}}),
        safetensors_of({"__metadata__": {"kind": "test", "header": "1" * 10**4}}),
        safetensors_of({"__metadata__": {"header": "{}"}}),
        one_tensor(shape=(10**12,)),
        one_tensor(shape=(2**63, 0), end=0, data=b""),
        one_tensor(shape=(-1,)),
        one_tensor(end=2**40),
        one_tensor(data=b"12345678"),
        one_tensor(data=b"12"),
        one_tensor("F4", (2,), 1, b"1"),
        one_tensor("nonsense"),
        one_tensor("BOOL", (4,)),
    ],
)
def test_hostile_content_with_a_right_hash(tmp_path, payload):
    refused(forged(tmp_path / "file", payload))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("unpickled")

    path = written(tmp_path / "file")
    for module, name in [(pickle, "load"), (pickle, "loads"), (torch, "load")]:
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(pickle, "Unpickler", never)
    assert read_file(path, "test")[0] == HEADER


@pytest.mark.parametrize("header", [{"a": float("nan")}, {"a": {1}}, {"a": b"bytes"}])
def test_what_json_cannot_hold(tmp_path, header):
    with pytest.raises((ValueError, TypeError), match="JSON"):
        written(tmp_path / "file", header=header)
    assert os.listdir(tmp_path) == []


def test_more_json_than_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(_persistence, "MAX_HEADER", 1000)
    with pytest.raises(ValueError, match="1000 bytes"):
        written(tmp_path / "file", header={"a": "é" * 500})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch, call):
    def fail(*args):
        raise OSError("disk full")

    path = written(tmp_path / "file")
    before = path.read_bytes()
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="disk full"):
        written(path, header={})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


def test_an_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    path = written(tmp_path / "file")
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        written(path, header={})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


def test_file_and_folder_are_synced(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def noted(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    written(tmp_path / "file")
    new, folder = synced
    assert os.path.dirname(new) == folder == os.fspath(tmp_path)


@contextmanager
def no_superuser():
    """Rights count: they do not for root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def own_folder(tmp_path):
    """A folder that belongs to whom `no_superuser` is."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield tmp_path.__class__(name)


def test_a_read_only_file_is_kept(own_folder):
    with no_superuser():
        path = written(own_folder / "file")
        path.chmod(0o400)
        with pytest.raises(PermissionError, match="file"):
            written(path, header={})
        assert read_file(path, "test")[0] == HEADER
        assert os.listdir(own_folder) == ["file"]


def test_a_read_only_folder(own_folder):
    own_folder.chmod(0o555)
    with no_superuser(), pytest.raises(PermissionError):
        written(own_folder / "file")
    assert os.listdir(own_folder) == []


def test_an_unreadable_file(own_folder):
    with no_superuser():
        path = written(own_folder / "file")
        path.chmod(0)
        with pytest.raises(PermissionError, match="file"):
            read_file(path, "test")


def test_rights_are_those_of_any_new_file_or_of_the_old_one(tmp_path):
    path = written(tmp_path / "file")
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    path.chmod(0o600)
    assert written(path).stat().st_mode & 0o777 == 0o600


def test_a_folder_or_nowhere_to_write(tmp_path):
    with pytest.raises(IsADirectoryError):
        written(tmp_path)
    with pytest.raises(FileNotFoundError):
        written(tmp_path / "nowhere" / "file")
    assert os.listdir(tmp_path) == []


def test_a_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    written(link)
    assert link.is_symlink()
    assert read_file(target, "test")[0] == HEADER
