# SPDX-License-Identifier: Apache-2.0
"""Small deliberate errors in sources, and whether tests and proofs detect each."""
