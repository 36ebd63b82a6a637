"""`make trust`: measure, draw, and write the figures into the page."""

from __future__ import annotations

import argparse
import time

from studies.trust import measure, page, plots
from studies.trust.scenarios import scenarios


def main() -> None:
    """All of it, from a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=measure.SEED)
    parser.add_argument("--redraw", action="store_true", help="from what was measured before")
    options = parser.parse_args()
    if not options.redraw:
        started = time.perf_counter()
        measure.save(measure.measure(scenarios(), options.seed), options.seed)
        print(f"measured in {time.perf_counter() - started:.0f} s")
    _, results = measure.load()
    for file in plots.draw(results):
        print(file)
    page.PAGE.write_text(page.render(page.PAGE.read_text(), results))
    print(page.PAGE)


if __name__ == "__main__":
    main()
