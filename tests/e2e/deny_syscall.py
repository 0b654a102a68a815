#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""deny_syscall.py NUMBER ERRNO COMMAND…: runs a command under a seccomp filter that refuses one system call."""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_NUMBER = struct.pack("HBBI", 0x20, 0, 0, 0)
ALLOW = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)

number, errno = int(sys.argv[1]), int(sys.argv[2])
program = b"".join(
    (
        LOAD_NUMBER,
        struct.pack("HBBI", 0x15, 0, 1, number),
        struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | errno),
        ALLOW,
    )
)


class Filter(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("program", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(program, len(program))
described = Filter(4, ctypes.cast(buffer, ctypes.c_char_p))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
    PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(described), 0, 0
):
    sys.exit(f"deny_syscall: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[3], sys.argv[3:])
