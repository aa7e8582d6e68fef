"""Values as JSON and tensors, and back: those of a closed set of types, by name.

What JSON has itself stays as it is. Everything else is an object whose ``type`` names
one of `CODECS`, which knows how its values are written and read. A name that is not
among them is refused, in both directions: nothing is looked up, imported or called by
what a file says.
"""

import datetime
import json
import math
import pathlib
from collections import OrderedDict
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import nn

CODECS: dict[str, Any] = {}
PLAIN = (bool, int, str, type(None))
# Of numpy: numbers, instants and text. Not objects, which are values of their own.
KINDS = "biufcmMSU"


def codec(*names):
    """A class decorator: it has `write(value, out, path)` and `read(spec, source)`."""

    def register(cls):
        CODECS.update((name, cls()) for name in names)
        return cls

    return register


def stored(**kinds):
    """A class decorator: instances are stored by these attributes, of those types.

    They are made again by the constructor, which takes the attributes by name, and
    checked by their method `check_stored`. `stored_state` may give other values.
    """

    def register(cls):
        CODECS[f"gamo_sampler.{cls.__name__}"] = _Attributes(cls, kinds)
        return cls

    return register


def type_name(value):
    """The name under which a value's type has a codec, if it has one."""
    if isinstance(value, np.generic):
        return "numpy.generic"
    if isinstance(value, nn.Module):
        return "torch.nn.Module"
    if isinstance(value, pathlib.PurePath):
        return "pathlib.Path"
    cls = type(value)
    return f"{cls.__module__.partition('.')[0]}.{cls.__qualname__}"


def require(holds, what):
    """A ValueError unless a condition on what was read holds."""
    if not holds:
        raise ValueError(what)


def field(spec, name, *kinds):
    """An entry of a JSON object, of one of some types."""
    value = spec.get(name)
    # Not isinstance: True is no number.
    require(type(value) in kinds, f"{name!r} of {_shown(spec)} is {_shown(value)}.")
    return value


def lengths(values):
    """A tuple of integers of at least 0."""
    ok = all(type(n) is int and n >= 0 for n in values)
    require(ok, f"{_shown(values)} is no shape.")
    return tuple(values)


def _shown(value):
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]} ..."


class Writer:
    """Collects the tensors, and what several values share, of values as JSON."""

    def __init__(self):
        self.tensors = {}
        self.shared = []
        self.given = set()
        self._seen = {}

    def value(self, value, path):
        """A value as JSON; `path` says where it is, in messages and tensors' names."""
        if type(value) in PLAIN or (type(value) is float and math.isfinite(value)):
            return value
        if type(value) is list:
            return [self.value(v, f"{path}.{i}") for i, v in enumerate(value)]
        name = type_name(value)
        if name not in CODECS:
            raise ValueError(
                f"{path} is of type {type(value).__module__}."
                f"{type(value).__qualname__}, which cannot be saved."
            )
        if not getattr(CODECS[name], "shared", False):
            return {"type": name, **CODECS[name].write(value, self, path)}
        if id(value) not in self._seen:
            spec = {"type": name, **CODECS[name].write(value, self, path)}
            self._seen[id(value)] = len(self.shared)
            self.shared.append(spec)
        return {"type": "shared", "index": self._seen[id(value)]}

    def tensor(self, tensor, path):
        """The name of a tensor in the file."""
        while path in self.tensors:  # of a dict with the keys 1 and "1"
            path += "'"
        self.tensors[path] = tensor
        return path

    def text(self, values, path):
        """The same for many values: their JSON, in bytes."""
        values = [self.value(v, f"{path}.{i}") for i, v in enumerate(values)]
        text = bytearray(json.dumps(values, separators=(",", ":")).encode())
        return self.tensor(torch.frombuffer(text, dtype=torch.uint8), path)

    def given_again(self, path):
        """What is not stored, but has to be given when the file is loaded."""
        parts = [part.rstrip("_") for part in path.split(".")]
        name = "__".join(parts)
        self.given.add(name)
        return {"type": "given", "name": name}


class Reader:
    """The values that a `Writer` has written."""

    def __init__(self, tensors, shared=(), given=None):
        self.tensors = tensors
        self.given = given or {}
        self.made = []
        for spec in shared:
            self.made.append(self.value(spec))

    def value(self, spec):
        if type(spec) in PLAIN:
            return spec
        if type(spec) is float:
            require(math.isfinite(spec), f"{spec} is no JSON.")
            return spec
        if type(spec) is list:
            return [self.value(v) for v in spec]
        name = field(spec, "type", str)
        require(name in CODECS, f"type {_shown(name)} is unknown.")
        return CODECS[name].read(spec, self)

    def field(self, spec, name, *kinds):
        """A value in a JSON object, of one of some types."""
        require(name in spec, f"{_shown(spec)} has no {name!r}.")
        value = self.value(spec[name])
        ok = isinstance(value, kinds)
        require(ok, f"{name!r} is a {type(value).__name__}: {_shown(value)}.")
        return value

    def tensor(self, spec, name="tensor"):
        name = field(spec, name, str)
        require(name in self.tensors, f"there is no tensor {name!r}.")
        return self.tensors[name]

    def text(self, spec, name="values"):
        raw = self.tensor(spec, name)
        require(raw.dtype == torch.uint8, f"{name!r} is no text.")
        values = json.loads(bytes(raw.numpy()))
        require(type(values) is list, f"{name!r} is no list.")
        return [self.value(v) for v in values]


class _Attributes:
    """Codec of our own classes."""

    def __init__(self, cls, kinds):
        self.cls = cls
        self.kinds = kinds

    def write(self, value, out, path):
        state = vars(value)
        if hasattr(value, "stored_state"):
            state = value.stored_state()
        return {n: out.value(state[n], f"{path}.{n}") for n in self.kinds}

    def read(self, spec, source):
        state = {n: source.field(spec, n, kind) for n, kind in self.kinds.items()}
        value = self.cls(**state)
        value.check_stored()
        return value


@codec("shared")
class _Shared:
    def read(self, spec, source):
        index = field(spec, "index", int)
        ok = 0 <= index < len(source.made)
        require(ok, f"{_shown(spec)} points to nothing before it.")
        return source.made[index]


@codec("given")
class _Given:
    def read(self, spec, source):
        name = field(spec, "name", str)
        require(name in source.given, f"{name!r} is not among what is to be given.")
        return source.given[name]


@codec("builtins.float")
class _Float:
    """Those that JSON lacks."""

    def write(self, value, out, path):
        return {"value": repr(value)}

    def read(self, spec, source):
        return float(field(spec, "value", str))


@codec("builtins.tuple")
class _Tuple:
    def write(self, value, out, path):
        return {"items": out.value(list(value), path)}

    def read(self, spec, source):
        return tuple(source.field(spec, "items", list))


@codec("builtins.dict", "collections.OrderedDict")
class _Dict:
    def write(self, value, out, path):
        pairs = [
            [out.value(k, path), out.value(v, f"{path}.{k}")] for k, v in value.items()
        ]
        return {"items": pairs}

    def read(self, spec, source):
        pairs = source.field(spec, "items", list)
        ordered = spec["type"] == "collections.OrderedDict"
        return OrderedDict(pairs) if ordered else dict(pairs)


@codec("builtins.bytes")
class _Bytes:
    def write(self, value, out, path):
        return {"value": value.decode("latin-1")}

    def read(self, spec, source):
        return field(spec, "value", str).encode("latin-1")


@codec("pathlib.Path")
class _Path:
    def write(self, value, out, path):
        return {"value": str(value)}

    def read(self, spec, source):
        return pathlib.Path(field(spec, "value", str))


@codec("datetime.date", "datetime.datetime")
class _Date:
    def write(self, value, out, path):
        if getattr(value, "tzinfo", None) or getattr(value, "fold", 0):
            raise ValueError(f"{path} is {value!r}: dates in time zones are not saved.")
        return {"value": value.isoformat()}

    def read(self, spec, source):
        cls = getattr(datetime, spec["type"].partition(".")[2])
        return cls.fromisoformat(field(spec, "value", str))


@codec("numpy.generic")
class _Scalar:
    def write(self, value, out, path):
        if value.dtype.kind not in "biufmMU" or value.dtype == np.longdouble:
            raise ValueError(f"{path} is a {value.dtype}, which cannot be saved.")
        plain = value.astype(np.int64) if value.dtype.kind in "mM" else value
        return {"dtype": value.dtype.str, "value": out.value(plain.item(), path)}

    def read(self, spec, source):
        dtype = _dtype(spec)
        value = source.field(spec, "value", bool, int, float, str)
        if dtype.kind in "mM":
            return np.array(value, np.int64).view(dtype)[()]
        return np.array(value, dtype)[()]


@codec("numpy.ndarray")
class _Array:
    """Numbers as a tensor of their type, where torch has it, else as bytes."""

    def write(self, value, out, path):
        shape = list(value.shape)
        if value.dtype == object:
            return {"shape": shape, "values": out.text(value.ravel().tolist(), path)}
        if value.dtype.kind not in KINDS:
            raise ValueError(f"{path} has dtype {value.dtype}, which cannot be saved.")
        # The order of memory decides the order of sums, and so their last bits.
        order = "F" if value.flags.f_contiguous and value.ndim > 1 else "C"
        tensor = out.tensor(_as_tensor(value.ravel(order)), path)
        dtype = value.dtype.str
        return {"shape": shape, "dtype": dtype, "order": order, "tensor": tensor}

    def read(self, spec, source):
        shape = lengths(field(spec, "shape", list))
        if "values" in spec:
            return _objects(source.text(spec), shape)
        flat = _as_array(source.tensor(spec), _dtype(spec))
        order = field(spec, "order", str)
        require(order in ("C", "F"), f"{_shown(order)} is no order of memory.")
        return flat.reshape(shape, order=order)


def _as_tensor(flat):
    native = flat.dtype.kind in "biuf" and flat.dtype.isnative
    if native and flat.dtype.itemsize <= 8:
        return torch.from_numpy(flat.copy())  # which may be read-only
    return torch.from_numpy(np.frombuffer(flat.tobytes(), np.uint8).copy())


def _as_array(tensor, dtype):
    array = np.ascontiguousarray(tensor.numpy()).ravel().view(dtype)
    if dtype.kind == "b":
        require((array.view(np.uint8) <= 1).all(), "booleans are 0 or 1.")
    if dtype.kind == "U":
        codes = array.view(np.dtype("u4").newbyteorder(dtype.byteorder))
        require((codes <= 0x10FFFF).all(), "some of the text is none.")
    return array


def _objects(values, shape):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def _dtype(spec):
    text = field(spec, "dtype", str)
    dtype = np.dtype(text)
    ok = dtype.kind in KINDS and dtype.itemsize and dtype.shape == ()
    require(ok, f"dtype {_shown(text)} is not one that is saved.")
    return dtype


@codec("torch.Tensor")
class _Tensor:
    def write(self, value, out, path):
        turned = value.ndim == 2 and not value.is_contiguous()
        return {
            "turned": turned,
            "tensor": out.tensor(value.T if turned else value, path),
        }

    def read(self, spec, source):
        tensor = source.tensor(spec)
        return tensor.T if field(spec, "turned", bool) else tensor


@codec("torch.device")
class _Device:
    def write(self, value, out, path):
        return {"value": str(value)}

    def read(self, spec, source):
        return torch.device(field(spec, "value", str))


class Weights(dict):
    """Tensors of a network by name, of which the network is still to be made."""


@codec("torch.nn.Module")
class _Module:
    def write(self, value, out, path):
        state = value.state_dict()
        wrong = [n for n, t in state.items() if not isinstance(t, torch.Tensor)]
        if wrong:
            raise ValueError(
                f"The state of {path} has {wrong}, no tensors, which are not saved."
            )
        return {"weights": {n: out.tensor(t, f"{path}.{n}") for n, t in state.items()}}

    def read(self, spec, source):
        names = field(spec, "weights", dict)
        return Weights({n: source.tensor(names, n) for n in names})


@codec("numpy.RandomState")
class _RandomState:
    shared = True

    def write(self, value, out, path):
        state = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise ValueError(
                f"{path} is a RandomState on {state['bit_generator']}, which cannot be "
                "saved; one on MT19937, as np.random.RandomState(seed) is, can."
            )
        return {
            "key": out.value(state["state"]["key"], path),
            "position": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": out.value(float(state["gauss"]), path),
        }

    def read(self, spec, source):
        key = source.field(spec, "key", np.ndarray)
        position = field(spec, "position", int)
        # numpy does not check these, and reads where the position points to.
        ok = key.dtype == np.uint32 and key.shape == (624,) and key.any()
        require(ok and 0 <= position <= 624, "the random state is none of MT19937.")
        has_gauss = field(spec, "has_gauss", int)
        require(has_gauss in (0, 1), "the random state is none of MT19937.")
        random_state = np.random.RandomState()
        random_state.set_state(
            {
                "bit_generator": "MT19937",
                "state": {"key": key, "pos": position},
                "has_gauss": has_gauss,
                "gauss": source.field(spec, "gauss", float, int),
            }
        )
        return random_state


SPARSE = [
    f"{form}_{kind}"
    for form in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
    for kind in ("array", "matrix")
]


@codec(*(f"scipy.{name}" for name in SPARSE))
class _Sparse:
    """By rows, in whatever format."""

    def write(self, value, out, path):
        if value.ndim != 2:
            raise ValueError(f"{path} has {value.ndim} dimensions; two can be saved.")
        rows = value.tocsr()
        parts = ("data", "indices", "indptr")
        written = {n: out.value(getattr(rows, n), f"{path}.{n}") for n in parts}
        return {"shape": list(map(int, rows.shape)), **written}

    def read(self, spec, source):
        parts = ("data", "indices", "indptr")
        data, indices, indptr = (source.field(spec, n, np.ndarray) for n in parts)
        shape = lengths(field(spec, "shape", list))
        require(data.dtype.kind in "biufc", f"sparse values are {data.dtype}.")
        name = spec["type"].removeprefix("scipy.")
        csr = getattr(scipy.sparse, f"csr{name[3:]}")
        rows = csr((data, indices, indptr), shape=shape)
        # Its functions do not check indices, and read where they point to.
        rows.check_format(full_check=True)
        return rows.asformat(name[:3])
