"""What long training shows, and what ends it."""

import os
import re
import subprocess
import sys
from tempfile import TemporaryFile

import pytest
from joblib import Parallel, delayed

from gamo_sampler import GAMOClassifier, _bar
from gamo_sampler._listeners import in_short, line


def fitted(table, **parameters):
    return GAMOClassifier(**{"max_iter": 3, "random_state": 0} | parameters).fit(*table)


def run(script, *arguments):
    """A script in a process of its own, which shows its warnings."""
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


# What it shows


def test_silent_by_default(table, capfd):
    fitted(table, early_stopping=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("verbose", "is_silent"), [(0, True), (1, False)])
def test_silent_in_parallel_processes(table, verbose, is_silent):
    def shown():
        """What a fit writes to the streams of the process that it is in."""
        with TemporaryFile() as file:
            streams = [os.dup(number) for number in (1, 2)]
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            try:
                fitted(table, verbose=verbose, early_stopping=True)
            finally:
                for number, stream in enumerate(streams, start=1):
                    os.dup2(stream, number)
            file.seek(0)
            return os.getpid(), file.read().decode()

    found = Parallel(n_jobs=2)(delayed(shown)() for _ in range(2))
    assert all(pid != os.getpid() for pid, _ in found)
    assert [text == "" for _, text in found] == [is_silent] * 2


def test_a_bar(table, capfd):
    fitted(table, verbose=1, early_stopping=True)
    out, err = capfd.readouterr()
    assert out == ""
    *_, last = err.strip().split("\r")
    number = r"-?\d\S*"
    assert re.search(
        rf"3/3 \[\S+<\S+, .*, M={number}, D={number}, G={number}, GM={number}\]", last
    )


def test_a_line_per_epoch(table, capfd):
    fitted(table, verbose=2, early_stopping=True)
    out, err = capfd.readouterr()
    memory, *epochs = out.splitlines()
    assert memory.startswith("memory: ")
    assert len(epochs) == 3
    for number, epoch in enumerate(epochs, start=1):
        assert epoch.startswith(f"Epoch {number}, m_real = 0.")
        assert re.search(r", validation_gm = \d\.\d{6}$", epoch)
    assert err == ""


def test_what_is_shown_of_a_record():
    record = {
        "epoch": 4,
        "f": 0.5,
        "m_real": 0.25,
        "m_generated": 0.75,
        "g_m": 1234.5,
        "validation_score": -1.5,
        "validation_gm": 0.8125,
        "another": 7.0,
    }
    assert in_short(record) == {
        "F": "0.5",
        "M": "0.5",
        "G": "1.23e+03",
        "GM": "0.812",
    }
    assert line(record) == (
        "Epoch 4, f = 0.500000, m_real = 0.250000, m_generated = 0.750000, "
        "g_m = 1234.500000, validation_score = -1.500000, validation_gm = 0.812500"
    )


NOTEBOOK = f"""
import runpy, sys, types, warnings

class ZMQInteractiveShell:
    pass

def module(name, **contents):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(contents)

module("IPython", get_ipython=ZMQInteractiveShell)
module("IPython.display", HTML=str, display=print)
module("ipykernel.zmqshell")
widgets = ("HTML", "FloatProgress", "HBox", "VBox", "IntProgress")
module("ipywidgets", **{{name: type(name, (), {{}}) for name in widgets}})
if sys.argv[1:] == ["without"]:
    sys.modules["ipywidgets"] = None
filters = list(warnings.filters)
bar = runpy.run_path({_bar.__file__!r})["tqdm"]
assert warnings.filters == filters
import tqdm.notebook
print(issubclass(bar, tqdm.notebook.tqdm))
"""


@pytest.mark.parametrize(
    ("widgets", "notebook_s"), [("with", True), ("without", False)]
)
def test_in_a_notebook_the_bar_is_the_one_that_works_there(widgets, notebook_s):
    done = run(NOTEBOOK, widgets)
    assert (done.stdout, done.stderr) == (f"{notebook_s}\n", "")


@pytest.mark.parametrize("verbose", [1, 2])
def test_showing_changes_nothing(table, verbose, capfd):
    quiet, loud = fitted(table), fitted(table, verbose=verbose)
    assert quiet.history_ == loud.history_
    assert capfd.readouterr() != ("", "")
