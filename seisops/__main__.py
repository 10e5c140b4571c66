"""``python -m seisops`` is the command ``seisops``."""

import sys

from seisops.cli import main

if __name__ == "__main__":
    sys.exit(main())
