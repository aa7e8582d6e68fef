"""What ends training from outside: time that is over, and Ctrl-C."""

import math
import signal
import threading
from time import monotonic

from ._warn import warn


class Stops:
    """Whether training is to end, asked after each round: `stops()`.

    It is to end `max_time` seconds (None for no limit) after it was made or, within
    its block, after Ctrl-C. A second Ctrl-C, or one before the first round is over,
    raises KeyboardInterrupt as ever. Where Ctrl-C has another handler than Python's
    own, or in another thread than the main one, it is left alone.
    """

    def __init__(self, max_time=None):
        self.end = monotonic() + (math.inf if max_time is None else max_time)
        self.has_begun = False
        self.interrupted = False

    def __call__(self):
        self.has_begun = True
        return self.interrupted or monotonic() >= self.end

    def __enter__(self):
        if threading.current_thread() is threading.main_thread() and _is_default():
            signal.signal(signal.SIGINT, self.interrupt)
        return self

    def __exit__(self, *_):
        self.has_begun = False
        if signal.getsignal(signal.SIGINT) == self.interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(self, number, frame):
        """Handle SIGINT."""
        if self.interrupted or not self.has_begun:
            signal.default_int_handler(number, frame)
        self.interrupted = True


def warn_of_interruption(epoch, watcher=None):
    kept = "that it had then"
    if watcher:
        kept = f"of epoch {watcher.best_epoch}, which scored best"
    warn(f"Training was interrupted in epoch {epoch}: it ends with the weights {kept}.")


def _is_default():
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler
