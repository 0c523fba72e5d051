# SPDX-License-Identifier: Apache-2.0
"""What every part of the layer stands on: processes, files, errors; no hardware."""
