"""`python -m audiornn`."""

import sys

from audiornn.cli import main

sys.exit(main())
