"""Versions of what the package runs on, for reports of bugs."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from ._version import __version__

DEPENDENCIES = (
    *("imbalanced-learn", "joblib", "narwhals", "numpy"),
    *("scikit-learn", "scipy", "torch", "tqdm"),
)
OPTIONAL = ("dask", "pandas", "pillow", "polars", "pyarrow", "zarr")


def show_versions() -> None:
    """Print the versions of Python, of the packages and of CUDA, and the devices.

    What a report of a bug needs beside the code that shows it. No path is printed.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn, with its threads.

    Examples
    --------
    >>> from gamo_sampler import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    System
        python: 3...
        machine: ...
    Packages
        gamo_sampler: ...
    """
    for title, facts in (
        ("System", _system()),
        ("Packages", _packages()),
        ("Torch", _torch()),
    ):
        print(title)
        for name, fact in facts.items():
            print(f"    {name}: {fact}")


def _system():
    return {"python": platform.python_version(), "machine": platform.platform()}


def _packages():
    others = {name: _installed(name) for name in sorted(DEPENDENCIES + OPTIONAL)}
    return {"gamo_sampler": __version__} | others


def _installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _torch():
    """What torch was built for, and what it finds here."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "CUDA": torch.version.cuda or "none",
        "cuDNN": torch.backends.cudnn.version() or "none",
        "GPUs": ", ".join(gpus) or "none",
        "MPS": torch.backends.mps.is_available(),
        "threads": torch.get_num_threads(),
    }
