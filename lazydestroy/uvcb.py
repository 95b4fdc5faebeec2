"""The Ultravisor's control blocks (UVCBs): what the host hands over with an Ultravisor Call and gets back.

Commands, response codes and blocks carry the names of ``arch/s390/include/asm/uv.h``; sizes and offsets are those of
the machine, big-endian. Where kvm-unit-tests have another name (``lib/s390x/asm/uv.h``), that reaches the same thing.
What the calls *do* is in `lazydestroy.ultravisor`.

A block knows its length, and its command where only one command uses it. Where several do, say which:

>>> uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=0x1000)
uv_cb_cfs(len=0x20, cmd=DESTR_SEC_STOR, rc=0x0, rrc=0x0, paddr=0x1000)

``header=uv_cb_header(len=..., cmd=...)`` gives any other length and command, wrong ones included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ctypes import Array, BigEndianStructure, c_uint8, c_uint16, c_uint32, c_uint64, sizeof
from enum import IntEnum
from typing import Any, ClassVar, TypeVar

from .units import shown

# Condition codes of the instruction
UVC_CC_OK = 0
UVC_CC_ERROR = 1
UVC_CC_BUSY = 2
UVC_CC_PARTIAL = 3

# Response codes that every command may give
UVC_RC_EXECUTED = 0x0001
UVC_RC_INV_CMD = 0x0002
UVC_RC_INV_STATE = 0x0003
UVC_RC_INV_LEN = 0x0005
UVC_RC_NO_RESUME = 0x0007
UVC_RC_INV_GHANDLE = 0x0020
UVC_RC_INV_CHANDLE = 0x0021
UVC_RC_MORE_DATA = 0x0100
"""Query only: there is more to tell than the block takes (the kernel has no name for it)."""
UVC_RC_NEED_DESTROY = 0x8000
"""Set on top of another code: a configuration came into being all the same and must be destroyed."""

# Bits of the feature word, counted from the left
BIT_UVC_FEAT_MISC_0 = 0
"""Its name in the series of May 2021; later kernels call it ``BIT_UV_FEAT_MISC``."""

# States for CPU_SET_STATE
PV_CPU_STATE_OPR = 1
PV_CPU_STATE_STP = 2
PV_CPU_STATE_CHKSTP = 3
PV_CPU_STATE_OPR_LOAD = 5


class UVC(IntEnum):
    """The commands, named as in the kernel, without ``UVC_CMD_``. A second name of a number is kvm-unit-tests'."""

    QUI = 0x0001
    INIT_UV = 0x000F
    CREATE_SEC_CONF = 0x0100
    DESTROY_SEC_CONF = 0x0101
    DESTROY_SEC_CONF_FAST = 0x0102
    CREATE_SEC_CPU = 0x0120
    DESTROY_SEC_CPU = 0x0121
    CONV_TO_SEC_STOR = 0x0200
    CONV_FROM_SEC_STOR = 0x0201
    DESTR_SEC_STOR = 0x0202
    SET_SEC_CONF_PARAMS = 0x0300
    UNPACK_IMG = 0x0301
    VERIFY_IMG = 0x0302
    CPU_RESET = 0x0310
    CPU_RESET_INITIAL = 0x0311
    PREPARE_RESET = 0x0320
    CPU_RESET_CLEAR = 0x0321
    CPU_SET_STATE = 0x0330
    SET_UNSHARE_ALL = 0x0340
    SET_UNSHARED_ALL = 0x0340  # kvm-unit-tests
    PIN_PAGE_SHARED = 0x0341
    UNPIN_PAGE_SHARED = 0x0342
    SET_SHARED_ACCESS = 0x1000
    REMOVE_SHARED_ACCESS = 0x1001
    RETR_ATTEST = 0x1020
    ATTESTATION = 0x1020  # kvm-unit-tests

    def __repr__(self) -> str:
        return f"UVC.{self.name}"


QUERY_BITS: dict[UVC, int] = {
    UVC.QUI: 0,
    UVC.INIT_UV: 1,
    UVC.CREATE_SEC_CONF: 2,
    UVC.DESTROY_SEC_CONF: 3,
    UVC.CREATE_SEC_CPU: 4,
    UVC.DESTROY_SEC_CPU: 5,
    UVC.CONV_TO_SEC_STOR: 6,
    UVC.CONV_FROM_SEC_STOR: 7,
    UVC.SET_SHARED_ACCESS: 8,
    UVC.REMOVE_SHARED_ACCESS: 9,
    UVC.SET_SEC_CONF_PARAMS: 11,
    UVC.DESTR_SEC_STOR: 12,
    UVC.UNPACK_IMG: 13,
    UVC.VERIFY_IMG: 14,
    UVC.CPU_RESET: 15,
    UVC.CPU_RESET_INITIAL: 16,
    UVC.CPU_SET_STATE: 17,
    UVC.PREPARE_RESET: 18,
    UVC.CPU_RESET_CLEAR: 19,
    UVC.SET_UNSHARE_ALL: 20,
    UVC.PIN_PAGE_SHARED: 21,
    UVC.UNPIN_PAGE_SHARED: 22,
    UVC.DESTROY_SEC_CONF_FAST: 23,
    UVC.RETR_ATTEST: 28,
}
"""The bit of each command in the query's list of installed calls, counted from the left.

That of DESTR_SEC_STOR is listed by IBM's s390-tools; the kernel does not name it.
"""


class uv_cb_header(BigEndianStructure):
    """What every control block begins with."""

    __slots__ = ()
    _fields_ = (("len", c_uint16), ("cmd", c_uint16), ("rc", c_uint16), ("rrc", c_uint16))
    len: int
    cmd: int
    rc: int
    rrc: int

    def _text(self) -> str:
        command = UVC(self.cmd).name if self.cmd in _COMMANDS else f"{self.cmd:#x}"
        return f"len={self.len:#x}, cmd={command}, rc={self.rc:#x}, rrc={self.rrc:#x}"

    def __repr__(self) -> str:
        return f"uv_cb_header({self._text()})"


_COMMANDS = frozenset(int(command) for command in UVC)


class _Block(BigEndianStructure):
    """A control block: fills in its header, and shows itself in hexadecimal."""

    __slots__ = ()
    # The header that each command gives the block; under None the header if no command is named.
    _headers: ClassVar[dict[UVC | None, uv_cb_header]]
    header: uv_cb_header

    def __init__(self, *, cmd: UVC | int | None = None, header: uv_cb_header | None = None, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except Exception:
            raise self._refusal(fields) from None
        if header is None:
            header = self._header(cmd)
        elif cmd is not None:
            raise TypeError(f"{type(self).__name__} takes either cmd or header, not both")
        elif not isinstance(header, uv_cb_header):
            raise ValueError(f"header={shown(header)}: use uv_cb_header(len=..., cmd=...)")
        self.header = header

    @classmethod
    def _header(cls, cmd: UVC | int | None) -> uv_cb_header:
        try:
            return cls._headers[cmd]  # type: ignore[index]  # a plain int finds its UVC
        except Exception:
            accepted = ", ".join(command.name for command in cls._headers if command is not None)
            raise ValueError(
                f"cmd={shown(cmd)}: {cls.__name__} is the block of {accepted}; "
                "for any other command give header=uv_cb_header(len=..., cmd=...)"
            ) from None

    @classmethod
    def _refusal(cls, fields: Mapping[str, object]) -> Exception:
        """The error for the first of some fields that the block does not have, or not with such a value."""
        kinds = {name: kind for name, kind, *_ in cls._fields_ if name != "header"}
        for name, value in fields.items():
            if not hasattr(cls, name):
                there = ", ".join(name for name in kinds if not name.startswith("reserved"))
                return AttributeError(f"{name}={shown(value)}: {cls.__name__} has no such field; it has {there}")
            array = issubclass(kinds.get(name, c_uint64), Array)
            if not isinstance(value, tuple if array else int):
                break
        use = "a tuple of whole numbers, of which there is room for" if array else "a whole number"
        return ValueError(f"{name}={shown(value)}: use {use}")

    def __repr__(self) -> str:
        names = [name for name, *_ in self._fields_[1:] if not name.startswith("reserved")]
        fields = "".join(f", {name}={_hexadecimal(getattr(self, name))}" for name in names)
        return f"{type(self).__name__}({self.header._text()}{fields})"


def _hexadecimal(value: int | Array[Any]) -> str:
    return f"{value:#x}" if isinstance(value, int) else f"[{', '.join(f'{item:#x}' for item in value)}]"


_B = TypeVar("_B", bound=_Block)


def _block_of(*commands: UVC, default: UVC | None = None) -> Callable[[type[_B]], type[_B]]:
    """Say which commands use a block, and which of several is meant if none is named (if any is)."""

    def decorate(block: type[_B]) -> type[_B]:
        headers: dict[UVC | None, uv_cb_header] = {
            command: uv_cb_header(len=sizeof(block), cmd=command) for command in commands
        }
        fallback = commands[0] if len(commands) == 1 else default
        headers[None] = uv_cb_header(len=sizeof(block), cmd=fallback or 0)
        block._headers = headers
        return block

    return decorate


@_block_of(UVC.QUI)
class uv_cb_qui(_Block):
    """Query: what the Ultravisor offers and how much storage it wants.

    256 bytes; the first `QUI_LEN_2021` are the block of May 2021. The series calls ``uv_feature_bits`` what later
    kernels and kvm-unit-tests call ``uv_feature_indications``; the kernel's name for kvm-unit-tests'
    ``max_guest_cpus`` is ``max_guest_cpu_id``. All four names reach their fields.
    """

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64),
        ("inst_calls_list", c_uint64 * 4),
        ("reserved30", c_uint64 * 2),
        ("uv_base_stor_len", c_uint64),
        ("reserved48", c_uint64),
        ("conf_base_phys_stor_len", c_uint64),
        ("conf_base_virt_stor_len", c_uint64),
        ("conf_virt_var_stor_len", c_uint64),
        ("cpu_stor_len", c_uint64),
        ("reserved70", c_uint32 * 3),
        ("max_num_sec_conf", c_uint32),
        ("max_guest_stor_addr", c_uint64),
        ("reserved88", c_uint8 * (0x9E - 0x88)),
        ("max_guest_cpus", c_uint16),
        ("uv_feature_bits", c_uint64),
        ("reserveda8", c_uint8 * (0x100 - 0xA8)),
    )


QUI_LEN_2021 = 0xC8
"""Bytes of the query's block in the kernel of May 2021, and in kvm-unit-tests then."""


@_block_of(UVC.INIT_UV)
class uv_cb_init(_Block):
    """Initialise the Ultravisor: its base storage."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("stor_origin", c_uint64),
        ("stor_len", c_uint64),
        ("reserved28", c_uint64 * 4),
    )


@_block_of(UVC.CREATE_SEC_CONF)
class uv_cb_cgc(_Block):
    """Create a secure configuration. ``guest_handle`` is an answer.

    kvm-unit-tests call ``conf_var_stor_origin`` what the kernel calls ``conf_virt_stor_origin``; both names reach the
    field.
    """

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("guest_handle", c_uint64),
        ("conf_base_stor_origin", c_uint64),
        ("conf_var_stor_origin", c_uint64),
        ("reserved30", c_uint64),
        ("guest_stor_origin", c_uint64),
        ("guest_stor_len", c_uint64),
        ("guest_sca", c_uint64),
        ("guest_asce", c_uint64),
        ("reserved58", c_uint64 * 5),
    )


@_block_of(UVC.CREATE_SEC_CPU)
class uv_cb_csc(_Block):
    """Create a secure CPU. ``cpu_handle`` is an answer."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("cpu_handle", c_uint64),
        ("guest_handle", c_uint64),
        ("stor_origin", c_uint64),
        ("reserved30", c_uint8 * 6),
        ("num", c_uint16),
        ("state_origin", c_uint64),
        ("reserved40", c_uint64 * 4),
    )


@_block_of(UVC.CONV_TO_SEC_STOR, UVC.UNPIN_PAGE_SHARED, default=UVC.CONV_TO_SEC_STOR)
class uv_cb_cts(_Block):
    """Import a page (the default), or unpin a shared one."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("guest_handle", c_uint64),
        ("gaddr", c_uint64),
    )


@_block_of(UVC.CONV_FROM_SEC_STOR, UVC.DESTR_SEC_STOR, UVC.PIN_PAGE_SHARED)
class uv_cb_cfs(_Block):
    """Export, destroy or pin the page at an absolute address."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("paddr", c_uint64),
    )


@_block_of(UVC.SET_SEC_CONF_PARAMS)
class uv_cb_ssc(_Block):
    """Hand over the header of the guest's image."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("guest_handle", c_uint64),
        ("sec_header_origin", c_uint64),
        ("sec_header_len", c_uint32),
        ("reserved2c", c_uint32),
        ("reserved30", c_uint64 * 4),
    )


@_block_of(UVC.UNPACK_IMG)
class uv_cb_unp(_Block):
    """Unpack one page of the guest's image."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("guest_handle", c_uint64),
        ("gaddr", c_uint64),
        ("tweak", c_uint64 * 2),
        ("reserved38", c_uint64 * 3),
    )


@_block_of(
    UVC.DESTROY_SEC_CONF,
    UVC.DESTROY_SEC_CPU,
    UVC.VERIFY_IMG,
    UVC.CPU_RESET,
    UVC.CPU_RESET_INITIAL,
    UVC.CPU_RESET_CLEAR,
    UVC.PREPARE_RESET,
    UVC.SET_UNSHARE_ALL,
)
class uv_cb_nodata(_Block):
    """Any call that takes the handle of a configuration or CPU, and nothing else."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("handle", c_uint64),
        ("reserved20", c_uint64 * 4),
    )


@_block_of(UVC.DESTROY_SEC_CONF_FAST)
class uv_cb_destroy_fast(_Block):
    """End a configuration and leave its pages for later: `uv_cb_nodata`, and a doubleword more."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("handle", c_uint64),
        ("reserved20", c_uint64 * 5),
    )


@_block_of(UVC.SET_SHARED_ACCESS, UVC.REMOVE_SHARED_ACCESS)
class uv_cb_share(_Block):
    """A guest shares or unshares one of its own pages. ``paddr`` is the guest's absolute address."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 3),
        ("paddr", c_uint64),
        ("reserved28", c_uint64),
    )


@_block_of(UVC.CPU_SET_STATE)
class uv_cb_cpu_set_state(_Block):
    """Set the state of a secure CPU: one of the ``PV_CPU_STATE_`` numbers."""

    __slots__ = ()
    _fields_ = (
        ("header", uv_cb_header),
        ("reserved08", c_uint64 * 2),
        ("cpu_handle", c_uint64),
        ("reserved20", c_uint8 * 7),
        ("state", c_uint8),
        ("reserved28", c_uint64 * 5),
    )


# Second names for three fields: a field's descriptor works under any name.
uv_cb_qui.uv_feature_indications = uv_cb_qui.uv_feature_bits  # type: ignore[attr-defined]
uv_cb_qui.max_guest_cpu_id = uv_cb_qui.max_guest_cpus  # type: ignore[attr-defined]
uv_cb_cgc.conf_virt_stor_origin = uv_cb_cgc.conf_var_stor_origin  # type: ignore[attr-defined]
