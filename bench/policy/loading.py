"""A whole site from its files to what decides, in a fresh process: seconds, and the most memory that it ever had.

python -m bench.policy.loading SURFACES RULES FORM
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from bench.policy.site import write_site
from bench.policy.worker import memory


def main() -> None:
    surfaces, rules, form = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        config = write_site(Path(folder), surfaces, rules, form)
        print(json.dumps(loaded(config, surfaces * rules)))


def loaded(config: Path, rules: int) -> dict[str, float]:
    from proxy.cli.site import protocols
    from proxy.live import Live
    from proxy.site import load_site

    specs = protocols()
    begin = time.perf_counter()
    site = load_site(config, specs).site
    read = time.perf_counter()
    if site is None or sum(len(surface.rules) for surface in site.surfaces) != rules:
        raise SystemExit("the made-up site is not valid")
    Live(site, time.time)
    return {"read": read - begin, "compiled": time.perf_counter() - read, "mib": memory()}


if __name__ == "__main__":
    main()
