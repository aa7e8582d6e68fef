"""Tables as files: what the commands read, and how they write it without a loss."""

import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ._frames import import_pandas

# Lower case. The dot of a number may be at either end, but codes start with zeros.
INTEGER = r"(0|-?[1-9][0-9]*)"
NUMBER = r"(-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?)"
MOST_DIGITS = 19  # of an integer of 64 bits
# What stands for a missing number. As categories and labels they are words.
MISSING = ("na", "n/a", "nan", "none", "null", "<na>", "#n/a")


def kind_of(path):
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise ValueError(f"{path} ends neither in .csv nor in .parquet.")
    return kind


def check_new(path):
    """Find out before anything is trained."""
    if path.exists():
        raise FileExistsError(f"{path} exists, and is not overwritten.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.absolute().parent}.")


@contextmanager
def new_file(path):
    """A name to write to, in the folder of `path`, which it takes if all goes well."""
    with TemporaryDirectory(prefix=".", dir=path.absolute().parent) as folder:
        unfinished = Path(folder, path.name)
        yield unfinished
        check_new(path)
        unfinished.rename(path)


def read(path, target):
    pd = import_pandas("A table in a file")
    if kind_of(path) == ".parquet":
        return pd.read_parquet(path)
    text = read_text(path)
    return pd.DataFrame(
        {
            name: typed(column, () if name == target else MISSING)
            for name, column in text.items()
        }
    )


def read_text(path):
    """The values of a CSV file as they are written; only empty ones are missing."""
    pd = import_pandas("A table in a file")
    form = {"dtype": str, "keep_default_na": False, "na_values": [""]}
    try:
        check_separator(path, pd.read_csv(path, nrows=0, **form).columns)
        text = pd.read_csv(path, **form)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}). Save it so.") from error
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path} is empty.") from error
    except pd.errors.ParserError as error:
        raise ValueError(f"{path} is not a table with commas: {error}") from error
    if not isinstance(text.index, pd.RangeIndex):
        raise ValueError(f"{path} has more columns than names in its first line.")
    return text


def check_separator(path, names):
    found = [mark for mark in ";\t|" if len(names) == 1 and mark in names[0]]
    if found:
        raise ValueError(
            f"{path} seems to be separated by {found[0]!r}. Save it with commas, and "
            "with decimal points, or as Parquet."
        )


def typed(text, missing):
    """A column of text as integers or floats, where all of it is written as such.

    What starts with a zero, or has more digits than an integer of 64 bits, is a code,
    and stays text.
    """
    pd = import_pandas("A table in a file")
    words = text.str.strip().str.lower()
    words = words[~words.isin(missing)].dropna()
    if len(words) and words.str.fullmatch(INTEGER).all():
        # pandas before 3 raises an error on integers that not even uint64 holds.
        fits = words.str.lstrip("-").str.len().max() <= MOST_DIGITS
        numbers = pd.to_numeric(words) if fits else words
        if numbers.dtype != np.int64:
            return text
        gaps = len(words) < len(text)
        return numbers.astype("Int64").reindex(text.index) if gaps else numbers
    if words.str.fullmatch(NUMBER).all():
        return words.astype(float).reindex(text.index)
    return text


def write(frame, path):
    if kind_of(path) == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=not is_default(frame.index))


def write_longer(source, frame, n, path):
    """Write `frame`, of which the first n rows are those of the file `source`.

    From CSV to CSV that file is copied, so that they stay as they were written.
    """
    if not kind_of(source) == kind_of(path) == ".csv":
        return write(frame, path)
    shutil.copyfile(source, path)
    with path.open("rb+") as file:
        end = b"\r\n" if file.readline().endswith(b"\r\n") else b"\n"
        file.seek(-1, 2)
        if file.read() != b"\n":
            file.write(end)
        frame.iloc[n:].to_csv(
            file, header=False, index=False, lineterminator=end.decode()
        )


def is_default(index):
    """Whether an index holds nothing but positions."""
    return list(index.names) == [None] and index.equals(
        import_pandas("A table in a file").RangeIndex(len(index))
    )


def longer(index, n):
    """`index` with missing labels at its end, n in all."""
    rows = np.arange(n)
    return index.take(np.where(rows < len(index), rows, -1), fill_value=np.nan)
