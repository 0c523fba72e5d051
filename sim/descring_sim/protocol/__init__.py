# SPDX-License-Identifier: Apache-2.0
"""What crosses a process boundary; standard library only, for simulators import it too."""
