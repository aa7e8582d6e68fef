"""What is said twice in the files of a release says the same."""

import configparser
import re

import pytest

import gamo_sampler

from .pages import ROOT

RECIPE = (ROOT / "conda" / "recipe.yaml").read_text()
CONSTRAINTS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().split()
)


def setup_cfg():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings


def test_the_conda_recipe_has_the_package_s_version_and_dependencies():
    assert f'version: "{gamo_sampler.__version__}"' in RECIPE
    required = setup_cfg()["options"]["install_requires"].split()
    run = RECIPE.split("  run:\n")[1].split("\n\n")[0]
    found = re.findall(r"- (\S+) (>=\d\S*)$", run, re.MULTILINE)
    names = {name.replace("pytorch", "torch") + least for name, least in found}
    assert names == set(required)


@pytest.mark.parametrize(
    ("repository", "package"), [("ruff-pre-commit", "ruff"), ("numpydoc", "numpydoc")]
)
def test_pre_commit_has_the_versions_of_the_constraints(repository, package):
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    [revision] = re.findall(rf"/{repository}\n    rev: v(\S+)", hooks)
    assert revision == CONSTRAINTS[package]


def test_the_workflow_runs_the_pythons_of_the_classifiers():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    [pythons] = re.findall(r"        python: \[(.*)\]", workflow)
    classifiers = setup_cfg()["metadata"]["classifiers"]
    assert re.findall(r"[\d.]+", pythons) == re.findall(r":: (3\.\d+)", classifiers)


def test_the_newest_version_is_the_first_of_what_is_new():
    page = (ROOT / "doc" / "whats_new.rst").read_text()
    versions = re.findall(r"^(\d+\.\d+\.\d+)\n-+$", page, re.MULTILINE)
    assert versions[0] == gamo_sampler.__version__


def test_the_sdist_has_what_its_tests_read():
    manifest = (ROOT / "MANIFEST.in").read_text()
    for name in (".ci", ".github", "conda", "doc", "examples", "benchmarks"):
        assert f"graft {name}\n" in manifest
