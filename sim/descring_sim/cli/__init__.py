# SPDX-License-Identifier: Apache-2.0
"""The command ``descring``: one file for each command. Nothing else imports this package."""

NAME = "descring"
