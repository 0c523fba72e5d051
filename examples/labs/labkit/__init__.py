# SPDX-License-Identifier: Apache-2.0
"""What the labs share: build, check of the timed loops, interleaved runs, verdict, picture."""
