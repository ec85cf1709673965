"""Serve: the house behind one port, until it is interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from typing import Any

GRACE_S = 5


def serve(url: str, *, host: str, port: int, **options: Any) -> None:
    """Answer until SIGINT or SIGTERM; what runs then is ended in order.

    Args:
        options: as `House` takes them.

    Raises:
        InputError: the database cannot be opened, or a feed or the watch list is none.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a request is small: threads of its own would wait for each other
    # The console's framework looks at every object of the process as it starts, torch's deprecated ones as well.
    warnings.filterwarnings("ignore", "`torch.distributed.reduce_op`", FutureWarning)
    from apps.console import pages
    from apps.console.house import House
    from engine.service import listening

    house = House(url, ended=lambda: server.should_exit, **options)
    pages.install(house)
    sys.stderr.write(f"http://{host}:{port}/   http://{host}:{port}/docs\n")
    if not house.keys.any():
        told = "no key yet: whoever is on this machine may do all, nobody else; make one with: keel keys add NAME"
        sys.stderr.write(f"{told}\n")
    server = listening(house.app, host=host, port=port, grace_s=GRACE_S)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server raises its signal again at its end
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
