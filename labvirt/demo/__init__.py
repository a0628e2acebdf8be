# SPDX-License-Identifier: MIT
"""The lab on one machine: a controller and real kiosks in network namespaces of their own, judged from outside.

It uses what users use (command line and HTTP) and looks with what anybody could look with (lease file, ping, sockets, pictures).
"""
