"""A contestant in a process of its own, for settings that a library reads once, when it is loaded.

The parent says which case is next; the child makes its inputs from the same seed, checks its own answer against the
reference, and then runs as many loops as it is told, and answers the seconds. Between orders it waits in a read, so it
costs the others nothing; when its parent goes, the pipe ends and so does it.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
from functools import cache
from typing import Any

from bench.errors import InputError


class Child:
    """The parent's side.

    Parameters
    ----------
    peer : str
        Name of the peer whose calls the child makes.
    variables : dict
        Set before the child's libraries are loaded.
    """

    def __init__(self, peer: str, variables: dict[str, str]):
        command = [sys.executable, "-m", "bench.micro.peers.child", peer]
        self._process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        """Send an order and return the answer."""
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise InputError(f"the process of a peer ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


#: Peers that live in a process of their own, and the variables that make them what they are.
IN_CHILD = {"openblas-avx512": {"OPENBLAS_CORETYPE": "SKYLAKEX"}}


@cache
def child(peer: str) -> Child:
    """Return the process of a peer, started when it is first asked for; it ends with this one."""
    started = Child(peer, IN_CHILD[peer])
    atexit.register(started.close)
    return started


def main(peer_name: str) -> None:
    """Obey orders until there are no more."""
    from bench.micro.contest import check_race, rest
    from bench.micro.peers import peers
    from kernels.cases import find
    from kernels.threads import set_threads

    peer, race, n_threads = peers()[peer_name], None, 1
    for line in sys.stdin:
        order = json.loads(line)
        if "loops" in order:
            steps = range(order["loops"])
            start = time.perf_counter()
            for _ in steps:
                race()
            answer = {"seconds": time.perf_counter() - start}
            if n_threads > 1:
                rest()
        else:
            n_threads = order["n_threads"]
            set_threads(n_threads)
            case = find(order["kernel"], order["case"])
            race, first_call_s, wrong = check_race(peer, case, order["dtype"], n_threads)
            answer = {"wrong": wrong, "first_call_s": first_call_s}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
