"""tqdm's bar: that of notebooks in a notebook, that of the terminal elsewhere."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # In a notebook without ipywidgets the terminal's bar does as well: no need to warn
    # everyone who imports the package.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

__all__ = ["tqdm"]
