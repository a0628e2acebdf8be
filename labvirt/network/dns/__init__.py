# SPDX-License-Identifier: MIT
"""DNS: names asked of a lab's server."""
