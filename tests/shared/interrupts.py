"""Send this process a real SIGINT, as Ctrl-C does, when a condition is true."""

import contextlib
import os
import signal
import threading


@contextlib.contextmanager
def ctrl_c_when(ready):
    """Send SIGINT to this process once `ready()` is true, while the block runs."""
    done = threading.Event()

    def watch():
        while not done.wait(0.005):
            if ready():
                os.kill(os.getpid(), signal.SIGINT)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
