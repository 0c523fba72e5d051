# SPDX-License-Identifier: Apache-2.0
"""What every other package may use: paths, errors, processes, files, progress, provenance."""
