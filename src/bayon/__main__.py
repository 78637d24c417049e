"""`python -m bayon` is `bayon`."""

import sys

from bayon.cli import main

sys.exit(main())
