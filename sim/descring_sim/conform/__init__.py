# SPDX-License-Identifier: Apache-2.0
"""The conformance kit: is this implementation the contract?"""
