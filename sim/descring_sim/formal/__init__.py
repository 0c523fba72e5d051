# SPDX-License-Identifier: Apache-2.0
"""Proofs of the RTL: properties in ``formal/``, run by SymbiYosys, and what becomes of them."""
