# SPDX-License-Identifier: MIT
"""Proofs that boot a PC from the network; longer than a test, so each has a make target of its own."""
