# SPDX-License-Identifier: Apache-2.0
"""A stream through a backend, stream files, and their comparison."""
