"""The sandbox's filter of system calls, assembled as classic BPF: no library needed.

Namespaces, mounts and file permissions keep a program in; this filter takes away what it has no honest
use for: more namespaces, other processes' memory, the kernel's larger attack surface, and memory that no
limit counts (System V segments, memory files, anonymous mappings that are shared, pages given to a pipe, huge pages,
and sockets unless they are asked for). Refused calls fail with EPERM, so that a program that only
tries is not killed for it.
"""

from __future__ import annotations

import errno
import platform
import struct

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# Name: number on x86-64, number on 64-bit Arm (None: does not exist there).
_REFUSED: dict[str, tuple[int, int | None]] = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51), "clock_settime": (227, 112),
    "delete_module": (176, 106), "fanotify_init": (300, 262), "finit_module": (313, 273), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433), "init_module": (175, 105),
    "io_setup": (206, 0),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_uring_setup": (425, 425),
    "ioperm": (173, None), "iopl": (172, None), "kcmp": (312, 272), "kexec_file_load": (320, 294),
    "kexec_load": (246, 104), "keyctl": (250, 219), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "migrate_pages": (256, 238), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "move_pages": (279, 239), "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "personality": (135, 92), "pidfd_getfd": (438, 438), "pivot_root": (155, 41),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "reboot": (169, 142), "request_key": (249, 218), "semget": (64, 190), "setns": (308, 268),
    "shmget": (29, 194), "swapoff": (168, 225), "swapon": (167, 224), "syslog": (103, 116), "umount2": (166, 39),
    "unshare": (272, 97), "userfaultfd": (323, 282), "vmsplice": (278, 75),
}  # fmt: skip
_CLONE, _CLONE3, _MMAP, _PRCTL = (56, 220), (435, 435), (9, 222), (157, 167)
_SOCKET, _CONNECT, _SOCKET_PAIR = (41, 198), (42, 203), (53, 199)
_NEW_NAMESPACES = 0x7E020080  # the CLONE_NEW* flags
_ORDINARY_SOCKETS = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6; AF_VSOCK, for one, leaves every network namespace

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_HUGE, _SET_DUMPABLE = 0x01, 0x20, 0x40000, 4
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _FOURTH_ARGUMENT = 0, 4, 16, 40  # offsets in struct seccomp_data
_X32 = 0x40000000


def build_filter(sockets: bool) -> bytes | None:
    """Assemble the filter for this machine.

    Args:
        sockets: whether ordinary sockets may be made. Where the network namespace is empty they lead nowhere, but
            what they hold counts as no process's memory.

    Returns:
        An array of ``struct sock_filter``; ``None`` on machines whose system calls are not listed here.
    """
    if platform.machine() not in _MACHINES:
        return None
    column, architecture = _MACHINES[platform.machine()]
    fail = 0x00050000
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, fail | errno.EPERM),
        # glibc falls back to clone, whose flags a filter can read.
        *_refuse(_CLONE3[column], fail | errno.ENOSYS),
    ]
    for numbers in _REFUSED.values():
        if numbers[column] is not None:
            code += _refuse(numbers[column] or 0, fail | errno.EPERM)
    if not sockets:
        for numbers in (_SOCKET, _CONNECT, _SOCKET_PAIR):
            code += _refuse(numbers[column], fail | errno.EACCES)
    else:
        code += [
            (_JUMP_EQUAL, 0, 3 + len(_ORDINARY_SOCKETS), _SOCKET[column]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            *[(_JUMP_EQUAL, len(_ORDINARY_SOCKETS) - at, 0, family) for at, family in enumerate(_ORDINARY_SOCKETS)],
            (_RETURN, 0, 0, fail | errno.EAFNOSUPPORT),
            (_RETURN, 0, 0, _ALLOW),
        ]
    code += [
        (_JUMP_EQUAL, 0, 4, _CLONE[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_SET, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, fail | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
        # Pages of such a mapping outlive it wherever a scrap of it is kept, and no process shows them.
        (_JUMP_EQUAL, 0, 6, _MMAP[column]),
        (_LOAD, 0, 0, _FOURTH_ARGUMENT),
        (_JUMP_SET, 2, 0, _MAP_HUGE),
        (_JUMP_SET, 0, 2, _MAP_SHARED),
        (_JUMP_SET, 0, 1, _MAP_ANONYMOUS),
        (_RETURN, 0, 0, fail | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
        # A process that hides its memory from its own user hides it from us.
        (_JUMP_EQUAL, 0, 4, _PRCTL[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_EQUAL, 0, 1, _SET_DUMPABLE),
        (_RETURN, 0, 0, fail | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ALLOW),  # every other call
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _refuse(number: int, action: int) -> list[tuple[int, int, int, int]]:
    return [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, action)]
