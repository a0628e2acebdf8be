# SPDX-License-Identifier: MIT
"""Doubles that several folders of tests share. What ships with the product (the fake drivers) is not here."""
