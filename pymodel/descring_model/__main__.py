# SPDX-License-Identifier: Apache-2.0
"""``python -m descring_model``: the golden model at a prompt."""

import sys

from descring_model.repl import main

sys.exit(main())
