# SPDX-License-Identifier: Apache-2.0
"""The verdict for people and for machines: terminal, JUnit XML, JSON, one HTML page, a badge."""
