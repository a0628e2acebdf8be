# SPDX-License-Identifier: MIT
"""The API, version 1: one file per noun, thin over the use cases; what a file declares is routed, checked and described from one place."""
