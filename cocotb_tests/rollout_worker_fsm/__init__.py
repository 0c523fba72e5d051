# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``rollout_worker_fsm``, one worker."""
