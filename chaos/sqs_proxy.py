"""Answers as microburst does, a proxy that injects AWS's own faults, with chance drawn from a seed. Touches a port."""

import random
import sys

from microburst.cli import main

if __name__ == "__main__":
    # It draws from the module's generator, which nothing else in this process uses.
    random.seed(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
