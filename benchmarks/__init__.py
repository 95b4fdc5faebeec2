"""Benchmarks: how fast the package is beside what it is measured against, in one table.

``python -m benchmarks`` (``make bench``) measures and prints. `measure` times two things in turns and `table` prints;
`rows` and `waits` have one function for each row, for what is measured beside a peer and for what a reader waits for;
`sizes` says how much is done; `case` is the reboot that all of them play. The peers are `_bare.pyx`, a bare
Cython loop (compiled by `bare` when it is first needed), `simpy_model`, the reboot as one would write it with SimPy,
and `plain_model`, the same in plain Python. Nothing here is needed to use the package.
"""
