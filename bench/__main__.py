"""`python -m bench`: Bulkhead and its peers, measured in turn.

Exit 0: all was measured and every target met. 1: a target was missed, an answer was wrong or a phase failed.
2: wrong usage. 3: the environment lacks something (no compiler, a peer not installed). What could be measured
is printed in each case.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from bench.environment import Cores, Unmeasurable
from bench.peers.bulkhead import Bulkhead
from bench.peers.haproxy import HAProxy
from bench.peers.nginx import Nginx, NginxNjs
from bench.peers.stunnel import Stunnel
from bench.plan import FULL, QUICK
from bench.session import PHASES, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers.base import Peer

MEASURED, MISSED, ENVIRONMENT = 0, 1, 3


def all_peers() -> dict[str, Peer]:
    peers: list[Peer] = [
        Bulkhead(shared=True), Bulkhead(shared=False), HAProxy(), Nginx(), NginxNjs(), Stunnel(),
    ]  # fmt: skip
    return {peer.name: peer for peer in peers}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    peers = [peer for name, peer in all_peers().items() if name in options.only]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cores = Cores.choose()
        session = Session(QUICK if options.quick else FULL, peers, options.phases, cores, say)
        os.sched_setaffinity(0, {cores.load})  # this process must not disturb the proxy it measures
        report = session.run()
    except Unmeasurable as error:
        say(str(error))
        return ENVIRONMENT
    print(report.as_json() if options.output == "json" else report.as_text())
    if report.wrong or report.missed or report.failed:
        return MISSED
    return ENVIRONMENT if report.missing else MEASURED


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Bulkhead beside other TLS proxies.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, fewer idle links")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    for option, names in (("--only", list(all_peers())), ("--phases", list(PHASES))):
        parser.add_argument(option, nargs="+", metavar="NAME", choices=names, default=names, help=", ".join(names))
    return parser.parse_args(arguments)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
