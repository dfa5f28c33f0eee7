#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A worker: answers each request with its bytes in reverse."""
import shmipc


@shmipc.worker()
def reverse(job):
    with job.data as request, job.reserve(len(request)) as response:
        response[:] = request[::-1]
        return len(request)


reverse.run()
