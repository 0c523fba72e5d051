# SPDX-License-Identifier: Apache-2.0
"""The rollout runtime over the native core, by the rules of ``docs/rollout-contract.md``."""
