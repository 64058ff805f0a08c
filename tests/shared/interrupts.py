"""Ctrl-C, pressed when something is so: the signal is real, and is sent to this process."""

import contextlib
import os
import signal
import threading


@contextlib.contextmanager
def ctrl_c_when(ready):
    """Send this process SIGINT once `ready()` is true, and only while the block runs."""
    over = threading.Event()

    def watch():
        while not over.wait(0.005):
            if ready():
                os.kill(os.getpid(), signal.SIGINT)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
