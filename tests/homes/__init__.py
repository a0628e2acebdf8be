# SPDX-License-Identifier: MIT
"""`make home-test`: the desktop guest keeps its person's work on real file servers, and says so when it cannot."""
