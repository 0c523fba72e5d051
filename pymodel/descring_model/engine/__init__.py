# SPDX-License-Identifier: Apache-2.0
"""The engine: how a token is made, to the bit, by ``docs/engine-contract.md``.

:class:`~descring_model.engine.model.ModelEngine` is the golden model in NumPy; :mod:`.contract` has
the numbers, :mod:`.rules` the text.
"""
