"""The error numbers of Linux, by name, whatever system this runs on.

The kernel here answers with Linux's numbers (asm-generic/errno-base.h and errno.h). Python's `errno` has those of the
system on which it runs, and in a browser or on macOS some differ: EINVAL is 28 in a browser.
"""

ESRCH = 3
EINTR = 4
EIO = 5
ENXIO = 6
EBADF = 9
EAGAIN = 11
ENOMEM = 12
EFAULT = 14
EBUSY = 16
EINVAL = 22
ENOTTY = 25

errorcode = {number: name for name, number in dict(globals()).items() if name.startswith("E")}
"""The names, by number."""
