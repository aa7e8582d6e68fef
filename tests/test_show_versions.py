"""What `show_versions` prints."""

import configparser
import re
import sys
from importlib.metadata import version

import torch

import gamo_sampler
from gamo_sampler import _show_versions

from .pages import ROOT


def printed(capsys):
    gamo_sampler.show_versions()
    lines = re.findall(r"^    ([^:]+): (.+)$", capsys.readouterr().out, re.MULTILINE)
    return dict(lines)


def test_versions_are_those_in_use(capsys):
    found = printed(capsys)
    assert found["gamo_sampler"] == gamo_sampler.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"] == version("torch")
    assert torch.__version__.startswith(version("torch"))  # and the build, "+cu130"
    assert found["threads"] == str(torch.get_num_threads())


def test_every_dependency_is_among_them():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    required = re.findall(r"^[\w-]+", settings["options"]["install_requires"], re.M)
    assert set(_show_versions.DEPENDENCIES) == set(required)


def test_what_is_not_installed_is_said(capsys, monkeypatch):
    monkeypatch.setattr(_show_versions, "OPTIONAL", ("no-such-package",))
    assert printed(capsys)["no-such-package"] == "not installed"


def test_gpus_are_named(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"card {i}")
    assert printed(capsys)["GPUs"] == "card 0, card 1"
