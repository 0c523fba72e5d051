# SPDX-License-Identifier: Apache-2.0
"""Random lines in large numbers against the golden model, and campaigns of seeds over the kit."""
