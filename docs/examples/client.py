#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A client: sends its argument, prints the reply."""
import sys

import shmipc

with shmipc.connect() as host:
    with host.call(sys.argv[1].encode() if len(sys.argv) > 1 else b"hello") as reply:
        print(bytes(reply).decode())
