# SPDX-License-Identifier: Apache-2.0
"""The report of a run of rollouts as one HTML page, and pictures of its trace."""
