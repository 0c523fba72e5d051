# SPDX-License-Identifier: Apache-2.0
"""The golden model of the rollout runtime: pure state machines in logical time.

``docs/rollout-contract.md`` is the text; :mod:`.contract` has its names, numbers and layouts,
:mod:`.rules` its rules.
"""
