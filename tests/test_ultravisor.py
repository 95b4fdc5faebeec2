"""The Ultravisor answers what a real one answers, and keeps the rules that the patch series relies on.

All tests run on a memory in plain Python and, where it is built, on the package's own.
"""

from __future__ import annotations

import itertools

import pytest

from lazydestroy.costs import Costs
from lazydestroy.page import Content, Holder, Record, State
from lazydestroy.ultravisor import (
    ASSUMPTIONS,
    UV_HANDLE,
    DictTable,
    Interruption,
    Phase,
    Ultravisor,
)
from lazydestroy.uvcb import (
    PV_CPU_STATE_OPR,
    PV_CPU_STATE_STP,
    QUERY_BITS,
    UVC,
    uv_cb_cfs,
    uv_cb_cgc,
    uv_cb_cpu_set_state,
    uv_cb_csc,
    uv_cb_cts,
    uv_cb_destroy_fast,
    uv_cb_header,
    uv_cb_init,
    uv_cb_nodata,
    uv_cb_qui,
    uv_cb_share,
    uv_cb_ssc,
    uv_cb_unp,
)
from tests.plain_memory import PlainMemory

try:
    from lazydestroy._core import Memory
except ImportError:  # not built
    Memory = None

PAGE = 4096
MIB = 1 << 20
GIB = 1 << 30
END = 3 * GIB
OK = (0, 0x0001)

COSTS = Costs(
    destroy=1507,
    export=3001,
    import_clear=1511,
    import_decrypt=3011,
    noop=503,
    refused=499,
    config=1_000_003,
    config_per_gib=10_007,
    cpu=100_003,
)

MEMORIES = [PlainMemory, pytest.param(Memory, marks=pytest.mark.skipif(Memory is None, reason="_core is not built"))]
MEMORY_NAMES = ["plain", "core"]


class Host:
    """A host that knows how to fill in control blocks. Storage is handed out upwards from 2 GiB, never twice."""

    def __init__(self, make_memory=PlainMemory, initialised=True, **parameters):
        self.memory = make_memory(END // PAGE)
        self.heard = []
        self.uv = Ultravisor(memory=self.memory, costs=COSTS, observer=self._hear, **parameters)
        self.next = 2 * GIB
        self.sca = self.take(4 * PAGE)
        if initialised:
            assert self.do(self.init_block()) == OK

    def _hear(self, cmd, outcome, ns):
        self.heard.append((cmd, outcome, ns))

    def take(self, length):
        self.next += length
        return self.next - length

    def do(self, block):
        """Condition code and rc."""
        cc = self.uv.call(block)
        return cc, block.header.rc

    def init_block(self):
        length = self.uv.uv_base_stor_len
        self.take(-self.next % MIB)
        return uv_cb_init(stor_origin=self.take(length), stor_len=length)

    def conf_block(self, guest_len=4 * MIB, table=None, origin=0):
        return uv_cb_cgc(
            conf_base_stor_origin=self.take(self.uv.conf_base_phys_stor_len),
            conf_var_stor_origin=self.take(self.uv.variable_storage(guest_len)),
            guest_stor_origin=origin,
            guest_stor_len=guest_len,
            guest_sca=self.sca,
            guest_asce=(self.take(4 * PAGE) if table is None else table) | 0x107,
        )

    def create(self, guest_len=4 * MIB, origin=0, params=True):
        """A configuration whose guest pages may be mapped with `map`; returns its handle."""
        block = self.conf_block(guest_len, origin=origin)
        assert self.do(block) == OK
        self.uv.tables[self.uv.configurations[block.guest_handle].table.origin] = DictTable({})
        assert not params or self.params(block.guest_handle) == OK
        return block.guest_handle

    def cpu_block(self, handle, num=0):
        storage, state = self.take(self.uv.cpu_stor_len), self.take(PAGE)
        return uv_cb_csc(guest_handle=handle, num=num, stor_origin=storage, state_origin=state)

    def create_cpu(self, handle, num=0):
        block = self.cpu_block(handle, num)
        assert self.do(block) == OK
        return block.cpu_handle

    def nodata(self, cmd, handle):
        return self.do(uv_cb_nodata(cmd=cmd, handle=handle))

    def destroy_fast(self, handle):
        return self.do(uv_cb_destroy_fast(handle=handle))

    def page_call(self, cmd, pfn):
        return self.do(uv_cb_cfs(cmd=cmd, paddr=pfn * PAGE))

    def destroy(self, pfn):
        return self.page_call(UVC.DESTR_SEC_STOR, pfn)

    def export(self, pfn):
        return self.page_call(UVC.CONV_FROM_SEC_STOR, pfn)

    def import_(self, handle, page):
        return self.do(uv_cb_cts(guest_handle=handle, gaddr=page * PAGE))

    def map(self, handle, page, pfn):
        self.uv.tables[self.uv.configurations[handle].table.origin].frames[page] = pfn

    def secure(self, handle, page=0, content=Content.HOST):
        """Map a guest page to a new frame, import it, return the frame's number."""
        pfn = self.take(PAGE) // PAGE
        self.memory.set_record(pfn, Record(content=content, holder=Holder.MAPPED, refs=1, mm=1))
        self.map(handle, page, pfn)
        assert self.import_(handle, page) == OK
        return pfn

    def shared(self, handle, page=0):
        pfn = self.secure(handle, page)
        assert self.uv.share(handle, page * PAGE) == 0
        return pfn

    def params(self, handle):
        return self.do(uv_cb_ssc(guest_handle=handle, sec_header_origin=self.take(PAGE), sec_header_len=640))

    def unpack(self, handle, page):
        return self.do(uv_cb_unp(guest_handle=handle, gaddr=page * PAGE))

    def state(self):
        """Everything that a refused call must leave alone."""
        uv = self.uv
        return repr((uv.base, uv.configurations, uv.cpus, uv.marked, uv.faults)), self.memory.records()

    def raises(self, origin, handle=0):
        return self.uv.access(self.memory.page(origin // PAGE), handle)


@pytest.fixture(params=MEMORIES, ids=MEMORY_NAMES)
def make_memory(request):
    return request.param


@pytest.fixture
def off(make_memory):
    """A host whose Ultravisor is not initialised."""
    return Host(make_memory, initialised=False)


@pytest.fixture
def host(make_memory):
    return Host(make_memory)


@pytest.fixture
def newer(make_memory):
    """A host whose Ultravisor has the calls of later machines, too."""
    return Host(make_memory, **Ultravisor.presets["as of 2022"])


@pytest.fixture
def two(host):
    """A host with two configurations, neither of which has CPUs, and their handles."""
    return host, host.create(), host.create()


def short(block):
    block.header.len -= 8


def ids(rows):
    return [row[0] for row in rows]


# Section 5: any command


HOST_COMMANDS = [
    command
    for command in UVC
    if command
    not in (
        UVC.QUI,
        UVC.INIT_UV,
        UVC.SET_SHARED_ACCESS,
        UVC.REMOVE_SHARED_ACCESS,
        UVC.RETR_ATTEST,
    )
]


@pytest.mark.parametrize("command", HOST_COMMANDS, ids=lambda command: command.name)
def test_nothing_works_before_init_uv(make_memory, command):
    off = Host(make_memory, initialised=False, **Ultravisor.presets["as of 2022"])
    header = uv_cb_header(len=8, cmd=command)
    assert off.uv.call(header) == 1
    assert header.rc == 0x0003, "state is checked before length"


@pytest.mark.parametrize("initialised", [False, True])
@pytest.mark.parametrize("cmd, length", [(0x4242, 8), (0x1000, 48), (0x1001, 48), (0x1020, 392), (0x0102, 72)], ids=hex)
def test_unknown_guest_only_and_unmodelled_commands_are_invalid(make_memory, initialised, cmd, length):
    host = Host(make_memory, initialised)
    header = uv_cb_header(len=length, cmd=cmd)
    assert host.uv.call(header) == 1 and header.rc == 0x0002


def test_an_invalid_command_comes_before_any_other_complaint(off):
    header = uv_cb_header(len=1, cmd=0x4242)
    assert off.uv.call(header) == 1 and header.rc == 0x0002


def test_the_header_may_lie_in_a_plain_buffer(host):
    buffer = bytearray(uv_cb_cfs(cmd=UVC.CONV_FROM_SEC_STOR, paddr=0x1000))
    assert host.uv.call(buffer) == 0 and buffer[4:8] == bytes((0, 1, 0, 0))


def test_a_block_shorter_than_its_header_says_is_a_mistake_of_the_caller(host):
    with pytest.raises(ValueError, match="shorter than the 0x20 bytes"):
        host.uv.call(uv_cb_header(len=32, cmd=UVC.DESTR_SEC_STOR))


def test_an_answer_replaces_the_one_before(host):
    block = uv_cb_cfs(cmd=UVC.CONV_FROM_SEC_STOR, paddr=END)
    assert host.do(block) == (1, 0x101)
    block.paddr = 0x1000
    assert host.do(block) == OK and block.header.rrc == 0


# Section 5: QUI


def test_query_that_is_too_short_for_the_least(off):
    assert off.do(uv_cb_qui(header=uv_cb_header(len=0xA0, cmd=UVC.QUI))) == (1, 0x0005)


@pytest.mark.parametrize("length", [0xA8, 0xC8, 0xF8])
def test_short_query_is_filled_as_far_as_it_goes(off, length):
    block = uv_cb_qui(header=uv_cb_header(len=length, cmd=UVC.QUI))
    assert off.do(block) == (1, 0x0100)
    full = uv_cb_qui()
    assert off.do(full) == OK
    assert bytes(block)[8:length] == bytes(full)[8:length] and block.uv_base_stor_len
    assert off.heard[0] == (UVC.QUI, "done", COSTS.noop), "a success for the kernel"


def test_short_query_leaves_the_rest_alone(off):
    block = uv_cb_qui(header=uv_cb_header(len=0xA8, cmd=UVC.QUI))
    block.reserveda8[0] = 0x77
    off.do(block)
    assert block.reserveda8[0] == 0x77


def test_a_query_of_the_kernels_own_size_needs_no_larger_block(off):
    buffer = bytearray(0xC8)
    buffer[:4] = bytes((0, 0xC8, 0, 1))
    assert off.uv.call(buffer) == 1 and buffer[4:6] == bytes((1, 0))


@pytest.mark.parametrize("initialised", [False, True])
@pytest.mark.parametrize("year, later", [("as of 2021", set()), ("as of 2022", {UVC.DESTROY_SEC_CONF_FAST})])
def test_full_query_tells_every_installed_call_and_no_other(make_memory, initialised, year, later):
    block = uv_cb_qui()
    assert Host(make_memory, initialised, **Ultravisor.presets[year]).do(block) == OK
    on = {bit for bit in range(256) if block.inst_calls_list[bit // 64] & 1 << (63 - bit % 64)}
    off = {UVC.SET_SHARED_ACCESS, UVC.REMOVE_SHARED_ACCESS, UVC.RETR_ATTEST, UVC.DESTROY_SEC_CONF_FAST} - later
    assert on == {bit for command, bit in QUERY_BITS.items() if command not in off}
    assert {QUERY_BITS[command] for command in HOST_COMMANDS} | {0, 1} == on | {QUERY_BITS[UVC.DESTROY_SEC_CONF_FAST]}


def test_the_query_lists_destr_sec_stor_as_bit_12(host):
    block = uv_cb_qui()
    assert host.do(block) == OK and block.inst_calls_list[0] >> (63 - 12) & 1


def test_query_tells_the_published_limits_by_default(off):
    block = uv_cb_qui()
    assert off.do(block) == OK
    assert (block.max_num_sec_conf, block.max_guest_stor_addr) == (8_388_607, 128 << 40)


def test_query_tells_sizes_and_limits(make_memory):
    block = uv_cb_qui()
    host = Host(
        make_memory,
        uv_base_stor_len=16 * PAGE,
        conf_base_phys_stor_len=3 * PAGE,
        conf_base_virt_stor_len=5 * PAGE,
        conf_virt_var_stor_len=2 * PAGE,
        cpu_stor_len=7 * PAGE,
        max_configurations=11,
        max_guest_address=13 * GIB,
        max_guest_cpus=17,
    )
    assert host.do(block) == OK
    assert (block.uv_base_stor_len, block.conf_base_phys_stor_len, block.conf_base_virt_stor_len) == (
        16 * PAGE,
        3 * PAGE,
        5 * PAGE,
    )
    assert (block.conf_virt_var_stor_len, block.cpu_stor_len) == (2 * PAGE, 7 * PAGE)
    assert (block.max_num_sec_conf, block.max_guest_stor_addr, block.max_guest_cpus) == (11, 13 * GIB, 17)


@pytest.mark.parametrize(
    "features, word", [((), 0), ("misc", 1 << 63), (["misc"], 1 << 63), ([0, 1], 3 << 62), ([63], 1)]
)
def test_feature_bits_count_from_the_left(make_memory, features, word):
    block = uv_cb_qui()
    Host(make_memory, features=features).do(block)
    assert block.uv_feature_bits == word


# Section 5: INIT_UV


INIT_ROWS = [
    ("length", short, {0x0005}),
    ("storage too short", lambda block: setattr(block, "stor_len", block.stor_len - 8), {0x103}),
    ("origin at end of memory", lambda block: setattr(block, "stor_origin", END), {0x104, 0x105}),
    ("origin past end of memory", lambda block: setattr(block, "stor_origin", END + 8), {0x104}),
    ("past end of memory", lambda block: setattr(block, "stor_origin", END - 8), {0x105}),
    ("below 2 GiB", lambda block: setattr(block, "stor_origin", GIB), {0x108}),
    ("below 2 GiB once rounded", lambda block: setattr(block, "stor_origin", 2 * GIB - 8), {0x108}),
    ("a page too long", lambda block: setattr(block, "stor_len", block.stor_len + PAGE), {0x103}),
]


@pytest.mark.parametrize("name, spoil, rcs", INIT_ROWS, ids=ids(INIT_ROWS))
def test_init_uv_refuses(off, name, spoil, rcs):
    block = off.init_block()
    before = off.state()
    spoil(block)
    cc, rc = off.do(block)
    assert cc == 1 and rc in rcs and off.state() == before


def test_init_uv_wants_one_cpu(off):
    block = off.init_block()
    off.uv.cpus_running = 2
    assert off.do(block) == (1, 0x102)
    off.uv.cpus_running = 1
    assert off.do(block) == OK


@pytest.mark.parametrize("bits", [8, PAGE, MIB - 1])
def test_init_uv_rounds_the_origin_down_to_1_mib_before_its_checks(off, bits):
    block = uv_cb_init(stor_origin=END - 2 * MIB + bits, stor_len=2 * MIB)
    assert off.do(block) == OK, "as it stands it would end past the end of memory"
    assert off.uv.base == (END - 2 * MIB, 2 * MIB) and off.raises(END - 2 * MIB) == off.raises(END - 1) == 0x3D
    assert off.raises(END - 2 * MIB - 1) is None


@pytest.mark.parametrize("bits", [8, PAGE - 1])
def test_init_uv_rounds_the_length_down_to_4_kib_before_its_checks(off, bits):
    assert off.do(uv_cb_init(stor_origin=END - 2 * MIB, stor_len=2 * MIB + bits)) == OK
    assert off.uv.base.length == off.uv.uv_base_stor_len == 2 * MIB


def test_to_what_init_uv_rounds_the_origin_is_a_parameter(make_memory):
    host = Host(make_memory, initialised=False, uv_base_stor_align=PAGE)
    assert host.do(uv_cb_init(stor_origin=END - 2 * MIB - PAGE + 8, stor_len=2 * MIB)) == OK
    assert host.uv.base.origin == END - 2 * MIB - PAGE


def test_init_uv_is_done_once(off):
    block = off.init_block()
    assert off.do(block) == OK and off.raises(block.stor_origin) == 0x3D
    assert off.do(off.init_block()) == (1, 0x101)


def test_where_donated_storage_may_begin_is_a_parameter_of_the_machine(make_memory):
    host = Host(make_memory, initialised=False, donated_from=0)
    assert host.do(uv_cb_init(stor_origin=GIB, stor_len=host.uv.uv_base_stor_len)) == OK


# Section 5: CREATE_SEC_CONF


def put(**fields):
    def spoil(block):
        for name, value in fields.items():
            setattr(block, name, value)

    return spoil


def bits(clear=0, add=0):
    return lambda block: setattr(block, "guest_asce", block.guest_asce & ~clear | add)


MAX = 128 << 40
CONF_ROWS = [
    ("length", short, 0x0005),
    ("origin above the highest address", put(guest_stor_origin=MAX + 2 * MIB + 1), 0x101),
    ("origin and length above the highest address", put(guest_stor_origin=MAX - MIB), 0x102),
    ("ASCE without private bit", bits(clear=0x100), 0x105),
    ("ASCE with reserved bit", bits(add=0x20), 0x105),
    ("base storage outside memory", put(conf_base_stor_origin=END + 8), 0x108),
    ("base storage partly outside memory", put(conf_base_stor_origin=END - PAGE), 0x108),
    ("base storage in lowcore", put(conf_base_stor_origin=0x1000), 0x109),
    ("SCA 0", put(guest_sca=0), 0x10C),
    ("SCA outside memory", put(guest_sca=END + 4 * PAGE), 0x10D),
    # assumed codes
    ("no storage", put(guest_stor_len=0), 0x103),
    ("variable storage outside memory", put(conf_var_stor_origin=END), 0x10B),
    ("variable storage in lowcore", put(conf_var_stor_origin=0x1000), 0x10E),
    ("base storage not on a page boundary", put(conf_base_stor_origin=2 * GIB + 512 * MIB + 8), 0x10A),
    ("variable storage is base storage", lambda b: put(conf_var_stor_origin=b.conf_base_stor_origin)(b), 0x10B),
    ("table outside memory", put(guest_asce=END | 0x107), 0x106),
    ("table is base storage", lambda b: put(guest_asce=b.conf_base_stor_origin | 0x107)(b), 0x10A),
    ("table is variable storage", lambda b: put(guest_asce=b.conf_var_stor_origin | 0x107)(b), 0x10B),
]


@pytest.mark.parametrize("name, spoil, rc", CONF_ROWS, ids=ids(CONF_ROWS))
def test_create_sec_conf_refuses_and_gives_no_handle(host, name, spoil, rc):
    block = host.conf_block()
    before = host.state()
    spoil(block)
    assert host.do(block) == (1, rc)
    assert block.guest_handle == 0 and host.state() == before


def test_create_sec_conf_makes_storage_secure(host):
    block = host.conf_block()
    assert host.do(block) == OK and block.guest_handle
    configuration = host.uv.configurations[block.guest_handle]
    for storage in configuration.base, configuration.variable:
        assert host.raises(storage.origin) == host.raises(storage.origin + storage.length - 1) == 0x3D
        assert host.memory.records(storage.first, storage.pages) == {
            Record(State.DONATED, block.guest_handle, False, Content.PLAINTEXT, block.guest_handle): storage.pages
        }
    donated = configuration.base.pages + configuration.variable.pages
    assert sum(n for record, n in host.memory.records().items() if record.owner == block.guest_handle) == donated


def test_the_same_block_again_is_refused(host):
    block = host.conf_block()
    assert host.do(block) == OK
    block.guest_handle = 0
    cc, rc = host.do(block)
    assert cc == 1 and 0x100 <= rc < 0x8000 and block.guest_handle == 0


def test_a_table_in_use_is_refused_even_with_new_storage(host):
    first = host.conf_block()
    assert host.do(first) == OK
    second = host.conf_block(table=first.guest_asce & ~0xFFF)
    cc, rc = host.do(second)
    assert cc == 1 and 0x104 <= rc < 0x8000 and second.guest_handle == 0


def test_donated_and_secure_pages_cannot_be_donated_again(host):
    handle = host.create()
    secure, shared = host.secure(handle, 0), host.shared(handle, 1)
    for origin in secure * PAGE, shared * PAGE, host.uv.base.origin, host.uv.configurations[handle].variable.origin:
        block = host.conf_block()
        block.conf_base_stor_origin = origin
        assert host.do(block) == (1, 0x10A)
        block = host.cpu_block(handle)
        block.stor_origin = origin
        assert host.do(block) == (1, 0x108)


@pytest.mark.parametrize("guest_len, pages", [(MIB, 1), (MIB - 1, 0), (MIB + 1, 1), (4 * MIB, 4), (GIB, 1024), (0, 0)])
def test_variable_storage_grows_with_each_whole_mib(host, guest_len, pages):
    assert host.uv.variable_storage(guest_len) == 64 * 1024 + pages * PAGE


def test_variable_storage_need_not_grow_and_is_whole_pages(make_memory):
    assert Host(make_memory, conf_virt_var_stor_len=0).uv.variable_storage(GIB) == 64 * 1024
    assert Host(make_memory, conf_virt_var_stor_len=100).uv.variable_storage(MIB) == 64 * 1024 + PAGE


# Section 5: CREATE_SEC_CPU


CPU_ROWS = [
    ("length", short, 0x0005),
    ("wrong guest handle", lambda block: setattr(block, "guest_handle", block.guest_handle + 1), 0x0020),
    ("CPU number", put(num=248 + 1), 0x103),
    ("storage outside memory", put(stor_origin=END + PAGE), 0x105),
    ("storage in lowcore", put(stor_origin=0), 0x106),
    ("state block outside memory", put(state_origin=END + PAGE), 0x107),
    # assumed code
    ("storage not on a page boundary", put(stor_origin=2 * GIB + 512 * MIB + 8), 0x108),
]


@pytest.mark.parametrize("name, spoil, rc", CPU_ROWS, ids=ids(CPU_ROWS))
def test_create_sec_cpu_refuses_and_gives_no_handle(host, name, spoil, rc):
    block = host.cpu_block(host.create())
    before = host.state()
    spoil(block)
    assert host.do(block) == (1, rc)
    assert block.cpu_handle == 0 and host.state() == before


def test_create_sec_cpu_makes_storage_secure_and_takes_a_number_once(host):
    handle = host.create()
    block = host.cpu_block(handle)
    assert host.do(block) == OK and block.cpu_handle
    assert host.raises(block.stor_origin) == host.raises(block.stor_origin + host.uv.cpu_stor_len - 1) == 0x3D
    assert host.do(block) == (1, 0x104), "the same block"
    assert host.do(host.cpu_block(handle)) == (1, 0x104), "the same number, new storage"
    assert host.do(host.cpu_block(handle, num=248)) == OK


def test_a_cpus_state_block_is_the_hosts_own_memory(host):
    handle = host.create()
    block = host.cpu_block(handle)
    block.state_origin = host.uv.base.origin
    assert host.do(block) == (1, 0x107)


# Section 5: SET_SEC_CONF_PARAMS, DESTROY_SEC_CPU, DESTROY_SEC_CONF


def test_set_sec_conf_params_refuses(host):
    handle = host.create(params=False)

    def block():
        return uv_cb_ssc(guest_handle=handle, sec_header_origin=host.take(PAGE), sec_header_len=640)

    spoilt = block()
    short(spoilt)
    assert host.do(spoilt) == (1, 0x0005)
    spoilt = block()
    spoilt.guest_handle += 1
    assert host.do(spoilt) == (1, 0x0020)
    base = host.uv.base.origin
    for origin, length in [(END, 640), (END - 8, 640), (base, 640), (base - 8, 640), (host.take(PAGE), 0)]:
        assert host.do(uv_cb_ssc(guest_handle=handle, sec_header_origin=origin, sec_header_len=length)) == (1, 0x103)
    assert host.do(block()) == OK


@pytest.mark.parametrize(
    "command, wrong_handle", [(UVC.DESTROY_SEC_CPU, 0x0021), (UVC.DESTROY_SEC_CONF, 0x0020)], ids=["CPU", "CONF"]
)
def test_destroy_of_a_cpu_or_configuration(host, command, wrong_handle):
    handle = host.create()
    block = uv_cb_nodata(cmd=command, handle=host.create_cpu(handle) if command == UVC.DESTROY_SEC_CPU else handle)
    short(block)
    assert host.do(block) == (1, 0x0005)
    block.header.len += 8
    block.handle += 1
    assert host.do(block) == (1, wrong_handle)
    block.handle -= 1
    assert host.do(block) == OK
    assert host.do(block) == (1, wrong_handle), "handles are not used again"


@pytest.mark.parametrize("command", [command for command in HOST_COMMANDS if command != UVC.QUI], ids=lambda c: c.name)
def test_every_command_wants_its_exact_length(newer, command):
    for length in 8, 24, 56, 136:
        buffer = bytearray(256)
        buffer[0:4] = length.to_bytes(2, "big") + int(command).to_bytes(2, "big")
        assert newer.uv.call(buffer) == 1 and buffer[4:6] == bytes((0, 5))


def test_a_cpu_handle_is_no_configuration_handle_nor_the_other_way_round(host):
    handle = host.create()
    cpu = host.create_cpu(handle)
    assert host.nodata(UVC.DESTROY_SEC_CONF, cpu) == (1, 0x0020)
    assert host.nodata(UVC.DESTROY_SEC_CPU, handle) == (1, 0x0021)
    assert host.nodata(UVC.DESTROY_SEC_CONF, 0) == (1, 0x0020)


def test_reset_of_the_machine_clears_donated_memory_and_uninitialises(host):
    handle = host.create()
    host.create_cpu(handle)
    configuration = host.uv.configurations[handle]
    base, secure, shared, exported = (
        host.uv.base,
        host.secure(handle, 0),
        host.shared(handle, 1),
        host.secure(handle, 2),
    )
    assert host.export(exported) == OK
    host.uv.cpus_running = 2
    host.uv.reset()
    for pfn in base.first, configuration.base.first, configuration.variable.first, secure, shared:
        record = host.memory.record(pfn)
        assert (record.state, record.owner, record.content) == (State.NON_SECURE, 0, Content.ZERO)
    assert not any(record.state or record.owner or record.measured for record in host.memory.records())
    assert host.memory.record(exported).content == Content.CIPHERTEXT, "it was the host's"
    assert host.nodata(UVC.DESTROY_SEC_CONF, handle) == (1, 0x0003)
    assert not (host.uv.configurations or host.uv.cpus or host.uv.marked or configuration.alive)
    assert host.do(uv_cb_init(stor_origin=base.origin, stor_len=base.length)) == OK
    assert host.create() not in (0, handle)


def test_the_host_test_suite_from_end_to_end(host):
    """The order of kvm-unit-tests: create, CPU, destroy CPU, destroy configuration."""
    handle = host.create()
    cpu = host.create_cpu(handle)
    assert host.nodata(UVC.DESTROY_SEC_CPU, cpu + 1) == (1, 0x0021)
    assert host.nodata(UVC.DESTROY_SEC_CPU, cpu) == OK
    assert host.nodata(UVC.DESTROY_SEC_CONF, handle + 1) == (1, 0x0020)
    assert host.nodata(UVC.DESTROY_SEC_CONF, handle) == OK


# Section 3: who touches what


MINE, OTHER = 0x1000, 0x2000
PAGES = {
    "non-secure": Record(),
    "secure, own": Record(State.SECURE, MINE),
    "secure, other": Record(State.SECURE, OTHER),
    "shared, own": Record(State.SHARED, MINE),
    "shared, other": Record(State.SHARED, OTHER),
    "donated, own": Record(State.DONATED, MINE),
    "donated, other": Record(State.DONATED, OTHER),
    "donated, Ultravisor's": Record(State.DONATED, UV_HANDLE),
}
ACCESS = [
    ("host", "non-secure", None),
    ("host", "secure, own", 0x3D),
    ("host", "secure, other", 0x3D),
    ("host", "shared, own", None),
    ("host", "shared, other", None),
    ("host", "donated, own", 0x3D),
    ("host", "donated, other", 0x3D),
    ("host", "donated, Ultravisor's", 0x3D),
    ("protected guest", "non-secure", 0x3E),
    ("protected guest", "secure, own", None),
    ("protected guest", "secure, other", 0x3F),
    ("protected guest", "shared, own", None),
    ("protected guest", "shared, other", 0x3E),
    ("protected guest", "donated, own", 0x3F),
    ("protected guest", "donated, other", 0x3F),
    ("protected guest", "donated, Ultravisor's", 0x3F),
]


@pytest.mark.parametrize("who, what, interruption", ACCESS, ids=[f"{who}: {what}" for who, what, _ in ACCESS])
def test_who_touches_what(host, who, what, interruption):
    """The host stands for its kernel, userspace, I/O and normal guests."""
    host.memory.set_record(7, PAGES[what])
    handle = MINE if who == "protected guest" else 0
    found = host.uv.access(host.memory.page(7), handle)
    assert found == interruption == host.uv.access(PAGES[what], handle)
    assert found is None or isinstance(found, Interruption)


# Section 4, rule 1


def test_rule_1_a_page_is_destroyed_only_while_its_owner_has_no_cpus(host):
    handle = host.create()
    cpu = host.create_cpu(handle)
    pfn = host.secure(handle)
    before = host.memory.record(pfn)
    assert host.destroy(pfn) == (1, 0x108)
    assert host.memory.record(pfn) == before, "nothing is lost"
    assert host.nodata(UVC.DESTROY_SEC_CPU, cpu) == OK
    assert host.destroy(pfn) == OK
    assert host.memory.record(pfn) == before._replace(
        state=State.NON_SECURE, owner=0, content=Content.ZERO, content_of=0
    )


def test_rule_1_a_running_guests_page_can_be_exported(host):
    handle = host.create()
    host.create_cpu(handle)
    pfn = host.secure(handle)
    assert host.export(pfn) == OK
    record = host.memory.record(pfn)
    assert (record.state, record.owner, record.content) == (State.NON_SECURE, 0, Content.CIPHERTEXT)
    assert record.content_of == record.measured == handle


def test_rule_1_looks_at_the_owner_only(two):
    host, zombie, running = two
    host.create_cpu(running)
    assert host.destroy(host.secure(zombie)) == OK


def test_what_if_rule_1_did_not_hold(make_memory):
    host = Host(make_memory, destroy_needs_no_cpus=False)
    handle = host.create()
    host.create_cpu(handle)
    assert host.destroy(host.secure(handle)) == OK


# Rule 2


def test_rule_2_destroying_a_non_secure_page_does_nothing_and_succeeds(host):
    before = host.state()
    assert host.destroy(5) == OK
    assert host.state() == before and host.heard[-1] == (UVC.DESTR_SEC_STOR, "noop", COSTS.noop)


def test_rule_2_older_firmware_answers_107_d(make_memory):
    host = Host(make_memory, old_firmware=True)
    block = uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=0x5000)
    assert host.uv.call(block) == 1 and (block.header.rc, block.header.rrc) == (0x107, 0xD)
    assert host.heard[-1] == (UVC.DESTR_SEC_STOR, "noop", COSTS.noop)
    assert host.destroy(host.secure(host.create())) == OK, "secure pages as ever"


def test_rule_2_exporting_a_non_secure_page_does_nothing_and_succeeds(host):
    before = host.state()
    assert host.export(5) == OK
    assert host.state() == before and host.heard[-1] == (UVC.CONV_FROM_SEC_STOR, "noop", COSTS.noop)


# Rules 3 and 4


def map_for(host, handle, pfn):
    host.map(handle, 0, pfn)
    return lambda: host.import_(handle, 0)


@pytest.mark.parametrize("how", ["export", "destroy"])
def test_rule_3_a_secure_page_changes_owner_only_by_export_or_destroy(two, how):
    host, old, new = two
    pfn = host.secure(old)
    again = map_for(host, new, pfn)
    before = host.memory.record(pfn)
    assert again() == (1, 0x104) and host.memory.record(pfn) == before
    assert getattr(host, how)(pfn) == OK
    assert again() == OK
    record = host.memory.record(pfn)
    assert (record.owner, record.content, record.content_of, record.measured) == (new, Content.PLAINTEXT, new, 0)
    assert host.heard[-1][2] == COSTS.import_clear, "to the new owner it is a first import"


def test_rule_3_holds_with_the_feature_too(make_memory):
    host = Host(make_memory, features="misc")
    old, new = host.create(), host.create()
    assert map_for(host, new, host.secure(old))() == (1, 0x104)


def test_rule_4_a_shared_page_cannot_be_imported_by_another_configuration(two):
    host, old, new = two
    pfn = host.shared(old)
    again = map_for(host, new, pfn)
    assert host.uv.access(host.memory.page(pfn), new) == 0x3E
    cc, rc = again()
    assert cc == 1 and rc not in (0x0001, 0x10A)
    assert host.export(pfn) == OK and again() == OK


def test_rule_4_with_the_feature_the_ultravisor_transfers_ownership_itself(make_memory):
    host = Host(make_memory, features="misc")
    old, new = host.create(), host.create()
    pfn = host.shared(old)
    assert map_for(host, new, pfn)() == OK
    record = host.memory.record(pfn)
    assert (record.state, record.owner, record.content_of) == (State.SECURE, new, new)


def test_importing_ones_own_page_again_changes_nothing(host):
    handle = host.create()
    for pfn, page in (host.secure(handle, 0), 0), (host.shared(handle, 1), 1):
        before = host.memory.record(pfn)
        assert host.import_(handle, page) == OK and host.memory.record(pfn) == before
        assert host.heard[-1] == (UVC.CONV_TO_SEC_STOR, "noop", COSTS.noop)


# Rule 5


@pytest.mark.parametrize("content", [Content.ZERO, Content.HOST])
def test_rule_5_a_first_import_clears_the_page(host, content):
    handle = host.create()
    record = host.memory.record(host.secure(handle, content=content))
    assert (record.state, record.owner) == (State.SECURE, handle)
    assert (record.content, record.content_of, record.measured) == (Content.PLAINTEXT, handle, 0)
    assert host.heard[-1] == (UVC.CONV_TO_SEC_STOR, "done", COSTS.import_clear)


def test_rule_5_an_exported_page_is_decrypted_by_the_next_import(host):
    handle = host.create()
    pfn = host.secure(handle)
    inside = host.memory.record(pfn)
    assert host.export(pfn) == OK and host.import_(handle, 0) == OK
    assert host.memory.record(pfn) == inside
    assert host.heard[-1] == (UVC.CONV_TO_SEC_STOR, "done", COSTS.import_decrypt)


def test_rule_5_a_swapped_page_may_come_back_in_another_frame(host):
    handle = host.create()
    old = host.secure(handle)
    assert host.export(old) == OK
    new = host.take(PAGE) // PAGE
    host.memory.set_record(new, host.memory.record(old))
    host.memory.set_record(old, Record())
    host.map(handle, 0, new)
    assert host.import_(handle, 0) == OK and host.memory.record(new).owner == handle


@pytest.mark.parametrize(
    "tampered",
    [
        {"content": Content.ZERO, "content_of": 0},
        {"content": Content.HOST, "content_of": 0},
        {"content": Content.CIPHERTEXT, "content_of": 0x7000},
    ],
    ids=["zeros", "host data", "ciphertext of another"],
)
def test_rule_5_what_the_host_tampered_with_is_refused(host, tampered):
    handle = host.create()
    pfn = host.secure(handle)
    assert host.export(pfn) == OK
    exported = host.memory.record(pfn)
    host.memory.page(pfn).update(**tampered)
    before = host.memory.record(pfn)
    assert host.import_(handle, 0) == (1, 0x105) and host.memory.record(pfn) == before
    host.memory.set_record(pfn, exported)
    assert host.import_(handle, 0) == OK, "the true content is still accepted"


def test_destroying_an_exported_page_does_not_let_the_host_replace_it(host):
    handle = host.create()
    pfn = host.secure(handle)
    assert host.export(pfn) == OK and host.destroy(pfn) == OK
    assert host.memory.record(pfn).content == Content.CIPHERTEXT, "it was not secure: nothing done"
    assert host.import_(handle, 0) == OK


# Rule 5a


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("how", ["import_", "unpack"])
def test_rule_5a_an_import_or_unpack_before_set_sec_conf_params_is_refused(host, how, mapped):
    handle = host.create(params=False)
    if mapped:
        host.map(handle, 0, host.take(PAGE) // PAGE)
    before = host.state()
    assert getattr(host, how)(handle, 0) == (1, 0x109), "assumed code"
    assert host.state() == before
    assert host.params(handle) == OK and getattr(host, how)(handle, 0) == (OK if mapped else (1, 0x10A))


def test_rule_5a_parameters_that_were_refused_do_not_count(host):
    handle = host.create(params=False)
    host.map(handle, 0, host.take(PAGE) // PAGE)
    assert host.do(uv_cb_ssc(guest_handle=handle, sec_header_origin=END, sec_header_len=640)) == (1, 0x103)
    host.uv.fail(UVC.SET_SEC_CONF_PARAMS, 0x1FF)
    assert host.params(handle) == (1, 0x1FF)
    assert host.import_(handle, 0) == host.unpack(handle, 0) == (1, 0x109)


def test_rule_5a_asks_for_the_parameters_of_that_configuration(two):
    host, _, _ = two
    new = host.create(params=False)
    host.map(new, 0, host.take(PAGE) // PAGE)
    assert host.import_(new, 0) == (1, 0x109)


# Rule 6


def test_rule_6_a_marked_table_backs_no_donated_storage(host):
    handle = host.create()
    table = host.uv.configurations[handle].table
    assert host.uv.marked == {table.origin: handle}
    for origin in table.origin, table.origin + 3 * PAGE:
        block = host.conf_block()
        block.conf_base_stor_origin = origin
        assert host.do(block) == (1, 0x10A)
        block = host.conf_block()
        block.conf_var_stor_origin = origin
        assert host.do(block) == (1, 0x10B)
        block = host.cpu_block(handle)
        block.stor_origin = origin
        assert host.do(block) == (1, 0x108)
        assert host.do(host.conf_block(table=origin)) == (1, 0x106), "nor does it serve another configuration"


def test_rule_6_destroy_unmarks_the_table(host):
    handle = host.create()
    table = host.uv.configurations[handle].table
    assert host.nodata(UVC.DESTROY_SEC_CONF, handle) == OK and not host.uv.marked
    assert host.do(host.conf_block(table=table.origin)) == OK


def test_rule_6_a_failed_destroy_poisons_table_and_handle_for_good(host):
    handle = host.create()
    host.uv.fail(UVC.DESTROY_SEC_CONF, 0x1234, 0x56, handle=handle, times=1)
    pages = host.memory.records()
    for _ in range(3):
        block = uv_cb_nodata(cmd=UVC.DESTROY_SEC_CONF, handle=handle)
        assert host.uv.call(block) == 1 and (block.header.rc, block.header.rrc) == (0x1234, 0x56)
    configuration = host.uv.configurations[handle]
    assert configuration.alive and host.uv.marked == {configuration.table.origin: handle}
    assert host.memory.records() == pages, "donated storage stays donated"
    assert host.do(host.conf_block(table=configuration.table.origin)) == (1, 0x106)
    other = host.create()
    assert host.nodata(UVC.DESTROY_SEC_CONF, other) == OK, "other configurations do not suffer"


# Rule 7


def test_rule_7_destroy_sec_conf_needs_all_cpus_destroyed(host):
    handle = host.create()
    cpus = [host.create_cpu(handle, num) for num in range(2)]
    for cpu in cpus:
        assert host.nodata(UVC.DESTROY_SEC_CONF, handle) == (1, 0x108)
        assert host.nodata(UVC.DESTROY_SEC_CPU, cpu) == OK
    assert host.nodata(UVC.DESTROY_SEC_CONF, handle) == OK, "that refusal does not stick"


def test_rule_7_pages_still_secure_are_cleaned_by_that_call_at_a_lower_price(two):
    host, old, new = two
    mine = [host.secure(old, page) for page in range(5)] + [host.shared(old, 5)]
    for pfn in mine:
        host.memory.page(pfn).arch_1 = True
    theirs = host.secure(new)
    assert host.nodata(UVC.DESTROY_SEC_CONF, old) == OK
    for pfn in mine:
        assert host.memory.record(pfn) == Record(holder=Holder.MAPPED, refs=1, mm=1, arch_1=True)
    assert host.memory.record(theirs).owner == new
    price = COSTS.config + COSTS.config_per_gib * 4 * MIB // GIB + 6 * (COSTS.destroy * 3 // 10)
    assert host.heard[-1] == (UVC.DESTROY_SEC_CONF, "done", price)


def test_destroy_sec_conf_forgets_what_was_exported_but_leaves_it_to_the_host(host):
    handle = host.create()
    pfn = host.secure(handle)
    assert host.export(pfn) == OK and host.nodata(UVC.DESTROY_SEC_CONF, handle) == OK
    record = host.memory.record(pfn)
    assert (record.content, record.content_of, record.measured) == (Content.CIPHERTEXT, handle, 0)


# Rule 7a: DESTROY_SEC_CONF_FAST


FAST = "DESTROY_SEC_CONF_FAST"


@pytest.mark.parametrize("given", [FAST, [FAST], {FAST}, UVC[FAST], (UVC[FAST],), 0x102])
def test_rule_7a_the_fast_call_is_there_if_asked_for(given):
    host = Host(calls=given)
    assert host.uv.calls == {UVC.DESTROY_SEC_CONF_FAST}
    assert host.destroy_fast(host.create()) == OK


def test_rule_7a_the_fast_call_gives_storage_and_table_back_and_ends_the_configuration(newer):
    handle = newer.create()
    configuration = newer.uv.configurations[handle]
    assert newer.destroy_fast(handle + 1) == (1, 0x0020)
    assert newer.destroy_fast(handle) == OK
    assert newer.uv.configurations == newer.uv.marked == {} and not configuration.alive
    for storage in configuration.base, configuration.variable:
        assert newer.memory.records(storage.first, storage.pages) == {Record(): storage.pages}
    assert newer.do(newer.conf_block(table=configuration.table.origin)) == OK, "the table may serve another"
    assert newer.destroy_fast(handle) == newer.nodata(UVC.DESTROY_SEC_CONF, handle) == (1, 0x0020)


def test_rule_7a_the_fast_call_leaves_pages_as_they_are(newer):
    old, new = newer.create(), newer.create()
    pfns = [newer.secure(old, 0), newer.shared(old, 1), newer.secure(old, 2), newer.secure(new)]
    assert newer.export(pfns[2]) == OK
    before = [newer.memory.record(pfn) for pfn in pfns]
    assert newer.destroy_fast(old) == OK
    after = [newer.memory.record(pfn) for pfn in pfns]
    assert after == [*before[:2], before[2]._replace(measured=0), before[3]], "what it exported is forgotten"
    assert (after[0].state, after[0].owner, after[1].state, after[1].owner) == (State.SECURE, old, State.SHARED, old)


def test_rule_7a_a_page_that_it_left_is_read_by_nobody_until_it_is_cleaned(newer):
    old, new = newer.create(), newer.create()
    pfn = newer.secure(old)
    assert newer.destroy_fast(old) == OK
    page = newer.memory.page(pfn)
    assert (newer.uv.access(page), newer.uv.access(page, new)) == (0x3D, 0x3F)
    map_for(newer, new, pfn)
    assert newer.import_(new, 0) == (1, 0x104)
    assert newer.destroy(pfn) == OK and page.content == Content.ZERO and newer.uv.access(page) is None
    assert newer.import_(new, 0) == OK


@pytest.mark.parametrize("how", ["export", "destroy"])
@pytest.mark.parametrize("make", ["secure", "shared"])
def test_rule_7a_a_page_that_it_left_is_destroyed_and_exported_like_any_other(newer, how, make):
    old = newer.create()
    pfn = getattr(newer, make)(old)
    assert newer.destroy_fast(old) == OK
    assert getattr(newer, how)(pfn) == OK
    record = newer.memory.record(pfn)
    left = {"export": (Content.CIPHERTEXT, old), "destroy": (Content.ZERO, 0)}[how]
    assert (record.state, record.owner, record.content, record.content_of) == (State.NON_SECURE, 0, *left)
    price = {"export": COSTS.export, "destroy": COSTS.destroy}[how]
    assert newer.heard[-1][1:] == ("done", price)


@pytest.mark.parametrize("features, answer", [((), (1, 0x104)), ("misc", OK)])
def test_rule_7a_a_shared_page_that_it_left_is_pinned_and_imported_like_any_other(make_memory, features, answer):
    host = Host(make_memory, features=features, calls=FAST)
    old, new = host.create(), host.create()
    pfn = host.shared(old)
    assert host.destroy_fast(old) == OK
    page = host.memory.page(pfn)
    assert (host.uv.access(page), host.uv.access(page, new)) == (None, 0x3E)
    assert host.page_call(UVC.PIN_PAGE_SHARED, pfn) == OK and page.pinned
    assert host.do(uv_cb_cts(cmd=UVC.UNPIN_PAGE_SHARED, guest_handle=old)) == (1, 0x0020)
    map_for(host, new, pfn)
    assert host.import_(new, 0) == answer


def test_rule_7a_the_fast_call_needs_all_cpus_destroyed(newer):
    handle = newer.create()
    cpu = newer.create_cpu(handle)
    before = newer.state()
    assert newer.destroy_fast(handle) == (1, 0x108) and newer.state() == before
    assert newer.nodata(UVC.DESTROY_SEC_CPU, cpu) == OK and newer.destroy_fast(handle) == OK


@pytest.mark.parametrize("then", ["fast", "ordinary"])
def test_rule_7a_a_fast_call_that_failed_may_succeed_and_so_may_the_ordinary_one(newer, then):
    handle = newer.create()
    newer.uv.fail(UVC.DESTROY_SEC_CONF_FAST, 0x1234, 0x56)
    before = newer.memory.records()
    block = uv_cb_destroy_fast(handle=handle)
    assert newer.uv.call(block) == 1 and (block.header.rc, block.header.rrc) == (0x1234, 0x56)
    assert newer.memory.records() == before and newer.uv.configurations[handle].destroy_failed is None
    assert (newer.destroy_fast(handle) if then == "fast" else newer.nodata(UVC.DESTROY_SEC_CONF, handle)) == OK


def test_rule_7a_a_failed_ordinary_call_fails_the_fast_one_too(newer):
    handle = newer.create()
    newer.uv.fail(UVC.DESTROY_SEC_CONF, 0x1234)
    assert newer.nodata(UVC.DESTROY_SEC_CONF, handle) == newer.destroy_fast(handle) == (1, 0x1234)
    assert handle in newer.uv.configurations


def test_rule_7a_the_fast_call_ends_a_configuration_that_was_refused_though_created(newer):
    newer.uv.fail(UVC.CREATE_SEC_CONF, 0x8108)
    block = newer.conf_block()
    assert newer.do(block) == (1, 0x8108)
    assert newer.destroy_fast(block.guest_handle) == OK and not newer.uv.configurations


def test_rule_7a_the_fast_call_frees_a_place_below_the_limit(make_memory):
    host = Host(make_memory, max_configurations=1, calls=FAST)
    old = host.create()
    assert host.do(host.conf_block()) == (1, 0x10F)
    assert host.destroy_fast(old) == OK and host.do(host.conf_block()) == OK


def test_rule_7a_a_reset_of_the_machine_clears_the_pages_that_it_left(newer):
    pfn = newer.secure(newer.create())
    assert newer.destroy_fast(0x1000) == OK
    newer.uv.reset()
    assert newer.memory.record(pfn).state == State.NON_SECURE and newer.memory.record(pfn).content == Content.ZERO


@pytest.mark.parametrize("pages", [0, 5])
def test_rule_7a_the_fast_call_costs_the_same_whatever_it_leaves(newer, pages):
    handle = newer.create(guest_len=3 * GIB)
    for page in range(pages):
        newer.secure(handle, page)
    assert newer.destroy_fast(handle) == OK
    assert newer.heard[-1] == (UVC.DESTROY_SEC_CONF_FAST, "done", COSTS.config)


# Rule 8


def test_rule_8_import_of_an_unmapped_address_answers_10a(host):
    handle = host.create()
    assert host.import_(handle, 3) == (1, 0x10A)
    host.uv.tables.clear()
    assert host.import_(handle, 0) == (1, 0x10A), "no table at all"


def test_tables_are_found_by_the_origin_in_the_asce(two):
    host, old, new = two
    pfn = host.secure(old)
    assert host.import_(new, 0) == (1, 0x10A), "its own tables do not map the page"
    assert host.memory.record(pfn).owner == old


def test_addresses_beyond_guest_or_memory_are_refused(host):
    handle = host.create(guest_len=4 * MIB)
    assert host.import_(handle, 1024) == (1, 0x103)
    host.map(handle, 0, END // PAGE)
    assert host.import_(handle, 0) == (1, 0x10A)
    for command in UVC.DESTR_SEC_STOR, UVC.CONV_FROM_SEC_STOR, UVC.PIN_PAGE_SHARED:
        assert host.page_call(command, END // PAGE) == (1, 0x101)


def test_an_address_means_the_page_that_it_lies_in(host):
    handle = host.create()
    pfn = host.secure(handle, 1)
    assert host.do(uv_cb_cfs(cmd=UVC.CONV_FROM_SEC_STOR, paddr=pfn * PAGE + 0xABC)) == OK
    assert host.do(uv_cb_cts(guest_handle=handle, gaddr=PAGE + 0xABC)) == OK
    assert host.memory.record(pfn).state == State.SECURE


def test_import_needs_a_configuration(host):
    assert host.import_(0x1000, 0) == (1, 0x0020)


# Rule 9


def test_rule_9_donated_storage_comes_back_cleared(host):
    handle = host.create()
    block = host.cpu_block(handle)
    assert host.do(block) == OK
    configuration = host.uv.configurations[handle]
    assert host.raises(block.stor_origin) == 0x3D
    assert host.nodata(UVC.DESTROY_SEC_CPU, block.cpu_handle) == OK
    assert host.raises(block.stor_origin) is None
    assert host.nodata(UVC.DESTROY_SEC_CONF, handle) == OK and not configuration.alive
    for storage in configuration.base, configuration.variable:
        assert host.memory.records(storage.first, storage.pages) == {Record(): storage.pages}


def test_rule_9_page_commands_do_not_touch_donated_storage(two):
    host, handle, _ = two
    pfn = host.uv.configurations[handle].base.first
    before = host.state()
    for command in UVC.DESTR_SEC_STOR, UVC.CONV_FROM_SEC_STOR, UVC.PIN_PAGE_SHARED:
        assert host.page_call(command, pfn) == (1, 0x106)
    host.map(handle, 0, pfn)
    assert host.import_(handle, 0) == (1, 0x106)
    assert host.state() == before


def test_the_hosts_own_use_of_a_page_survives_being_donated(host):
    block = host.conf_block()
    pfn = block.conf_base_stor_origin // PAGE
    host.memory.set_record(pfn, Record(holder=Holder.DONATED, refs=1, content=Content.HOST))
    assert host.do(block) == OK
    assert host.nodata(UVC.DESTROY_SEC_CONF, block.guest_handle) == OK
    assert host.memory.record(pfn) == Record(holder=Holder.DONATED, refs=1)


# Rule 10


def test_rule_10_two_configurations_may_name_the_same_sca(two):
    host, old, new = two
    assert host.uv.configurations[old].sca == host.uv.configurations[new].sca


def test_rule_10_a_zombie_counts_against_the_limit(make_memory):
    host = Host(make_memory, max_configurations=2)
    zombie, _ = host.create(), host.create()
    block = host.conf_block()
    assert host.do(block) == (1, 0x10F) and block.guest_handle == 0
    assert host.nodata(UVC.DESTROY_SEC_CONF, zombie) == OK
    assert host.do(block) == OK


# Loading an image


def test_an_image_is_loaded_in_three_steps(host):
    handle = host.create(params=False)
    host.map(handle, 256, 300)
    host.memory.set_record(300, Record(content=Content.HOST, holder=Holder.MAPPED))
    phase = lambda: host.uv.configurations[handle].phase  # noqa: E731
    assert phase() == Phase.CREATED
    assert host.unpack(handle, 256) == host.nodata(UVC.VERIFY_IMG, handle) == (1, 0x109)
    assert host.params(handle) == OK and phase() == Phase.PARAMETERS_SET
    assert host.params(handle) == host.nodata(UVC.VERIFY_IMG, handle) == (1, 0x109)
    assert host.unpack(handle, 256) == OK and phase() == Phase.UNPACKED
    assert host.heard[-1] == (UVC.UNPACK_IMG, "done", COSTS.import_decrypt)
    record = host.memory.record(300)
    assert (record.state, record.owner, record.content) == (State.SECURE, handle, Content.PLAINTEXT)
    assert host.nodata(UVC.VERIFY_IMG, handle) == OK and phase() == Phase.VERIFIED
    assert host.unpack(handle, 256) == host.nodata(UVC.VERIFY_IMG, handle) == (1, 0x109)


def test_unpack_is_refused_where_an_import_is(two):
    host, old, new = two
    host.map(new, 0, host.secure(old, 0))
    host.map(new, 1, host.shared(old, 1))
    host.map(new, 2, host.uv.base.first)
    host.secure(new, 3)
    assert host.unpack(new, 0) == host.unpack(new, 1) == (1, 0x104)
    assert host.unpack(new, 2) == (1, 0x106)
    assert host.unpack(new, 3) == (1, 0x10B), "its own page is not replaced"
    assert host.unpack(new, 4) == (1, 0x10A)
    assert host.unpack(new, 1024) == (1, 0x103), "assumed code"


def test_unpack_replaces_an_exported_page(host):
    handle = host.create()
    pfn = host.secure(handle)
    assert host.export(pfn) == OK
    host.memory.page(pfn).update(content=Content.HOST, content_of=0)
    assert host.unpack(handle, 0) == OK and host.memory.record(pfn).measured == 0


# CPUs and resets


def test_cpu_state_and_resets(host):
    handle = host.create()
    cpu = host.create_cpu(handle)
    assert host.do(uv_cb_cpu_set_state(cpu_handle=cpu, state=PV_CPU_STATE_OPR)) == OK
    assert host.uv.cpus[cpu].state == PV_CPU_STATE_OPR
    assert host.do(uv_cb_cpu_set_state(cpu_handle=cpu, state=4)) == (1, 0x102)
    assert host.do(uv_cb_cpu_set_state(cpu_handle=cpu + 1, state=1)) == (1, 0x0021)
    for command in UVC.CPU_RESET, UVC.CPU_RESET_INITIAL, UVC.CPU_RESET_CLEAR:
        assert host.do(uv_cb_cpu_set_state(cpu_handle=cpu, state=PV_CPU_STATE_OPR)) == OK
        assert host.nodata(command, cpu) == OK and host.uv.cpus[cpu].state == PV_CPU_STATE_STP
        assert host.nodata(command, handle) == (1, 0x0021)
    assert host.nodata(UVC.PREPARE_RESET, handle) == OK
    assert host.nodata(UVC.PREPARE_RESET, cpu) == (1, 0x0020)


# Sharing


def test_a_shared_page_shows_the_guests_plaintext_to_the_host(host):
    handle = host.create()
    pfn = host.secure(handle)
    assert host.raises(pfn * PAGE) == 0x3D
    assert host.uv.share(handle, 0) == 0
    record = host.memory.record(pfn)
    assert (record.state, record.owner, record.content) == (State.SHARED, handle, Content.PLAINTEXT)
    assert host.raises(pfn * PAGE) is None and host.raises(pfn * PAGE, handle) is None
    assert host.uv.unshare(handle, 0) == 0
    assert host.memory.record(pfn).state == State.SECURE and host.raises(pfn * PAGE) == 0x3D


def test_sharing_twice_and_unsharing_twice_is_no_error(host):
    handle = host.create()
    host.secure(handle)
    assert [host.uv.unshare(handle, 0), host.uv.share(handle, 0), host.uv.share(handle, 0)] == [0, 0, 0]


def test_a_guest_shares_only_what_is_its_own(two):
    host, old, new = two
    host.map(new, 0, host.secure(old))
    for page, rc in (0, 0x104), (1, 0x10A):
        for command in UVC.SET_SHARED_ACCESS, UVC.REMOVE_SHARED_ACCESS:
            block = uv_cb_share(cmd=command, paddr=page * PAGE)
            assert host.uv.guest_call(new, block) == 1 and block.header.rc == rc


@pytest.mark.parametrize("origin", [0, 16 * MIB])
@pytest.mark.parametrize("address", [4 * MIB, 4 * MIB + PAGE, 16 * MIB + 4 * MIB, (1 << 64) - PAGE], ids=hex)
@pytest.mark.parametrize("command", [UVC.SET_SHARED_ACCESS, UVC.REMOVE_SHARED_ACCESS])  # of the second it is assumed
def test_set_shared_access_of_an_address_outside_the_configuration_answers_101(host, origin, address, command):
    handle = host.create(4 * MIB, origin)
    host.map(handle, address // PAGE, host.take(PAGE) // PAGE)
    block = uv_cb_share(cmd=command, paddr=address)
    assert host.uv.guest_call(handle, block) == 1 and block.header.rc == 0x101


# A guest that does not begin at address 0


ORIGIN = 16 * MIB


@pytest.fixture
def moved(host):
    """A host with a guest of 4 MiB at 16 MiB of its tables, its handle, and a frame mapped as its page 3."""
    handle = host.create(4 * MIB, ORIGIN)
    pfn = host.take(PAGE) // PAGE
    host.map(handle, ORIGIN // PAGE + 3, pfn)
    return host, handle, pfn


def test_an_import_takes_origin_plus_offset(moved):
    host, handle, pfn = moved
    assert host.import_(handle, 3) == (1, 0x103), "below the guest: assumed code"
    assert host.import_(handle, ORIGIN // PAGE + 3) == OK and host.memory.record(pfn).owner == handle
    assert host.import_(handle, ORIGIN // PAGE + 4) == (1, 0x10A), "inside, but not mapped"
    assert host.import_(handle, ORIGIN // PAGE + 1024) == (1, 0x103), "above the guest: assumed code"


def test_an_unpack_takes_a_guest_absolute_address(moved):
    host, handle, pfn = moved
    assert host.unpack(handle, ORIGIN // PAGE + 3) == (1, 0x103), "assumed code"
    assert host.unpack(handle, 4) == (1, 0x10A)
    assert host.unpack(handle, 3) == OK and host.memory.record(pfn).owner == handle


def test_a_guest_shares_and_unshares_by_guest_absolute_address(moved):
    host, handle, pfn = moved
    assert host.import_(handle, ORIGIN // PAGE + 3) == OK
    assert host.uv.share(handle, ORIGIN + 3 * PAGE) == 1
    assert host.uv.share(handle, 3 * PAGE) == 0 and host.memory.record(pfn).state == State.SHARED
    assert host.uv.unshare(handle, ORIGIN + 3 * PAGE) == 1
    assert host.uv.unshare(handle, 3 * PAGE) == 0 and host.memory.record(pfn).state == State.SECURE


def test_an_unpin_takes_the_address_of_an_import(moved):
    """Assumed: it has the block of an import."""
    host, handle, pfn = moved
    assert host.import_(handle, ORIGIN // PAGE + 3) == OK and host.uv.share(handle, 3 * PAGE) == 0
    assert host.page_call(UVC.PIN_PAGE_SHARED, pfn) == OK
    unpin = uv_cb_cts(cmd=UVC.UNPIN_PAGE_SHARED, guest_handle=handle, gaddr=3 * PAGE)
    assert host.do(unpin) == (1, 0x103), "below the guest: assumed code"
    unpin.gaddr += ORIGIN
    assert host.do(unpin) == OK and not host.memory.record(pfn).pinned


def test_a_guest_may_end_at_the_highest_address(host):
    handle = host.create(4 * MIB, MAX - 4 * MIB)
    host.map(handle, (MAX - PAGE) // PAGE, host.take(PAGE) // PAGE)
    assert host.unpack(handle, 1023) == OK and host.unpack(handle, 1024) == (1, 0x103)


def test_a_guest_has_calls_of_its_own(host):
    handle = host.create()
    block = uv_cb_qui()
    assert host.uv.guest_call(handle, block) == 0
    on = {bit for bit in range(256) if block.inst_calls_list[bit // 64] & 1 << (63 - bit % 64)}
    assert on == {QUERY_BITS[UVC.QUI], QUERY_BITS[UVC.SET_SHARED_ACCESS], QUERY_BITS[UVC.REMOVE_SHARED_ACCESS]}
    for command in set(UVC) - {UVC.QUI, UVC.SET_SHARED_ACCESS, UVC.REMOVE_SHARED_ACCESS}:
        header = uv_cb_header(len=64, cmd=command)
        assert host.uv.guest_call(handle, header) == 1 and header.rc == 0x0002
    block = uv_cb_share(cmd=UVC.SET_SHARED_ACCESS)
    short(block)
    assert host.uv.guest_call(handle, block) == 1 and block.header.rc == 0x0005
    with pytest.raises(ValueError, match="handle=0x7: no configuration has it; there are 0x1000"):
        host.uv.share(7, 0)


def test_a_pinned_page_stays_shared_until_unpinned(host):
    handle = host.create()
    pfn = host.shared(handle)
    unpin = uv_cb_cts(cmd=UVC.UNPIN_PAGE_SHARED, guest_handle=handle, gaddr=0)
    assert host.do(unpin) == (1, 0x102), "not pinned"
    assert host.page_call(UVC.PIN_PAGE_SHARED, pfn) == OK and host.memory.record(pfn).pinned
    assert host.page_call(UVC.PIN_PAGE_SHARED, pfn) == OK and host.heard[-1][1] == "noop"
    assert host.uv.unshare(handle, 0) == 2, "busy: the host is told and unpins"
    assert host.memory.record(pfn).state == State.SHARED
    assert host.do(unpin) == OK and host.uv.unshare(handle, 0) == 0
    assert host.memory.record(pfn).state == State.SECURE


def test_only_a_shared_page_can_be_pinned(host):
    assert host.page_call(UVC.PIN_PAGE_SHARED, host.secure(host.create())) == (1, 0x102)
    assert host.page_call(UVC.PIN_PAGE_SHARED, 5) == (1, 0x102)


@pytest.mark.parametrize("how", ["export", "destroy"])
def test_a_shared_page_is_exported_and_destroyed_like_a_secure_one(host, how):
    handle = host.create()
    pfn = host.shared(handle)
    assert host.page_call(UVC.PIN_PAGE_SHARED, pfn) == OK
    assert getattr(host, how)(pfn) == OK
    record = host.memory.record(pfn)
    content = Content.CIPHERTEXT if how == "export" else Content.ZERO
    assert (record.state, record.owner, record.pinned, record.content) == (State.NON_SECURE, 0, False, content)


def test_set_unshare_all_unshares_the_pages_of_one_configuration(two):
    host, one, other = two
    mine, pinned, theirs = host.shared(one, 0), host.shared(one, 1), host.shared(other, 0)
    assert host.page_call(UVC.PIN_PAGE_SHARED, pinned) == OK
    assert host.nodata(UVC.SET_UNSHARE_ALL, one) == OK
    states = [host.memory.record(pfn).state for pfn in (mine, pinned, theirs)]
    assert states == [State.SECURE, State.SECURE, State.SHARED] and not host.memory.record(pinned).pinned
    assert host.nodata(UVC.SET_UNSHARE_ALL, one + 1) == (1, 0x0020)


# Fault injection


def test_a_fault_hits_once_and_changes_nothing(host):
    pfn = host.secure(host.create())
    host.uv.fail(UVC.DESTR_SEC_STOR, 0x1FF, 0x42)
    before = host.memory.record(pfn)
    block = uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=pfn * PAGE)
    assert host.uv.call(block) == 1 and (block.header.rc, block.header.rrc) == (0x1FF, 0x42)
    assert host.memory.record(pfn) == before and host.heard[-1] == (UVC.DESTR_SEC_STOR, "refused", COSTS.refused)
    assert host.uv.call(block) == 0


def test_a_fault_hits_as_often_as_told(host):
    host.uv.fail(UVC.CONV_FROM_SEC_STOR, 0x1FF, times=2)
    assert [host.export(5)[0] for _ in range(4)] == [1, 1, 0, 0]


def test_a_fault_may_be_for_good(host):
    host.uv.fail(UVC.CONV_FROM_SEC_STOR, 0x1FF, times=None)
    assert {host.export(5) for _ in range(9)} == {(1, 0x1FF)}


def test_a_fault_may_concern_one_configuration(two):
    host, one, other = two
    pfns = host.secure(one), host.secure(other)
    for command in UVC.DESTR_SEC_STOR, UVC.CONV_TO_SEC_STOR, UVC.CREATE_SEC_CPU:
        host.uv.fail(command, 0x1FF, handle=one, times=None)
    assert [host.destroy(pfn) for pfn in pfns] == [(1, 0x1FF), OK]
    assert host.destroy(5) == OK, "a page of nobody"
    assert host.import_(one, 0) == (1, 0x1FF) and host.import_(other, 0) == OK
    assert host.do(host.cpu_block(one)) == (1, 0x1FF) and host.do(host.cpu_block(other)) == OK


def test_a_fault_may_concern_one_cpu(host):
    handle = host.create()
    cpus = [host.create_cpu(handle, num) for num in range(2)]
    host.uv.fail(UVC.DESTROY_SEC_CPU, 0x1FF, handle=cpus[1])
    assert [host.nodata(UVC.DESTROY_SEC_CPU, cpu) for cpu in cpus] == [OK, (1, 0x1FF)]
    assert host.nodata(UVC.DESTROY_SEC_CPU, cpus[1]) == OK


def test_a_fault_waits_for_a_call_that_would_succeed(host):
    handle = host.create()
    host.uv.fail(UVC.DESTROY_SEC_CONF, 0x1FF)
    assert host.nodata(UVC.DESTROY_SEC_CONF, 0) == (1, 0x0020)
    assert host.nodata(UVC.DESTROY_SEC_CONF, handle) == (1, 0x1FF)


def test_busy_is_no_failure_and_does_not_stick(host):
    handle = host.create()
    host.uv.fail(UVC.DESTROY_SEC_CONF, 0x1FF, cc=2)
    assert [host.nodata(UVC.DESTROY_SEC_CONF, handle)[0] for _ in range(2)] == [2, 0]


def test_an_injected_107_d_counts_as_a_noop(host):
    host.uv.fail(UVC.DESTR_SEC_STOR, 0x107, 0xD)
    host.destroy(5)
    assert host.heard[-1] == (UVC.DESTR_SEC_STOR, "noop", COSTS.noop)


def test_bit_8000_at_creation_leaves_a_configuration_that_must_be_destroyed(host):
    host.uv.fail(UVC.CREATE_SEC_CONF, 0x8108)
    block = host.conf_block()
    assert host.do(block) == (1, 0x8108) and block.guest_handle
    handle = block.guest_handle
    assert host.raises(block.conf_base_stor_origin) == 0x3D and handle in host.uv.marked.values()
    assert host.do(host.cpu_block(handle)) == host.import_(handle, 0) == host.params(handle) == (1, 0x0020)
    assert host.nodata(UVC.DESTROY_SEC_CONF, handle) == OK
    assert host.raises(block.conf_base_stor_origin) is None and not host.uv.marked


@pytest.mark.parametrize("spoil", [short, put(conf_base_stor_origin=0x1000)], ids=["length", "storage"])
def test_bit_8000_is_never_given_for_a_block_that_is_wrong_anyway(host, spoil):
    host.uv.fail(UVC.CREATE_SEC_CONF, 0x8108)
    block = host.conf_block()
    spoil(block)
    cc, rc = host.do(block)
    assert cc == 1 and rc < 0x8000 and not block.guest_handle


def test_bit_8000_is_never_given_for_a_table_in_use(host):
    handle = host.create()
    host.uv.fail(UVC.CREATE_SEC_CONF, 0x8108)
    block = host.conf_block(table=host.uv.configurations[handle].table.origin)
    assert host.do(block) == (1, 0x106) and not block.guest_handle


@pytest.mark.parametrize(
    "arguments",
    [
        {"cmd": 0x4242, "rc": 0x1FF},
        {"cmd": UVC.RETR_ATTEST, "rc": 0x1FF},
        {"cmd": UVC.DESTROY_SEC_CONF_FAST, "rc": 0x1FF},
        {"cmd": UVC.QUI, "rc": 0},
        {"cmd": UVC.QUI, "rc": 1},
        {"cmd": UVC.QUI, "rc": 0x10000},
        {"cmd": UVC.QUI, "rc": 0x1FF, "rrc": -1},
        {"cmd": UVC.QUI, "rc": 0x1FF, "times": 0},
        {"cmd": UVC.QUI, "rc": 0x1FF, "cc": 0},
    ],
    ids=str,
)
def test_a_fault_that_makes_no_sense_is_refused(host, arguments):
    with pytest.raises(ValueError, match="use"):
        host.uv.fail(**arguments)
    assert not host.uv.faults


@pytest.mark.parametrize("command", [*HOST_COMMANDS, UVC.QUI], ids=lambda command: command.name)
def test_every_command_can_be_made_to_fail_and_then_changes_nothing(newer, command):
    host = newer
    handle = host.create(params=command != UVC.SET_SEC_CONF_PARAMS)
    ends = command in (UVC.DESTROY_SEC_CONF, UVC.DESTROY_SEC_CONF_FAST)
    cpu = None if ends else host.create_cpu(handle)
    pfn = host.shared(handle) if command != UVC.SET_SEC_CONF_PARAMS else 5
    if command == UVC.UNPIN_PAGE_SHARED:
        host.page_call(UVC.PIN_PAGE_SHARED, pfn)
    if command == UVC.DESTR_SEC_STOR:
        host.nodata(UVC.DESTROY_SEC_CPU, cpu)
    if command in (UVC.UNPACK_IMG, UVC.VERIFY_IMG):
        host.map(handle, 8, 300)
    if command == UVC.VERIFY_IMG:
        host.unpack(handle, 8)
    blocks = {
        UVC.QUI: uv_cb_qui(),
        UVC.CREATE_SEC_CONF: host.conf_block(),
        UVC.CREATE_SEC_CPU: host.cpu_block(handle, 5),
        UVC.DESTROY_SEC_CONF_FAST: uv_cb_destroy_fast(handle=handle),
        UVC.CONV_TO_SEC_STOR: uv_cb_cts(guest_handle=handle),
        UVC.UNPIN_PAGE_SHARED: uv_cb_cts(cmd=UVC.UNPIN_PAGE_SHARED, guest_handle=handle),
        UVC.SET_SEC_CONF_PARAMS: uv_cb_ssc(guest_handle=handle, sec_header_origin=host.take(PAGE), sec_header_len=8),
        UVC.UNPACK_IMG: uv_cb_unp(guest_handle=handle, gaddr=8 * PAGE),
        UVC.CPU_SET_STATE: uv_cb_cpu_set_state(cpu_handle=cpu or 0, state=1),
    }
    for each in UVC.DESTR_SEC_STOR, UVC.CONV_FROM_SEC_STOR, UVC.PIN_PAGE_SHARED:
        blocks[each] = uv_cb_cfs(cmd=each, paddr=pfn * PAGE)
    of_cpu = UVC.DESTROY_SEC_CPU, UVC.CPU_RESET, UVC.CPU_RESET_INITIAL, UVC.CPU_RESET_CLEAR
    block = blocks.get(command) or uv_cb_nodata(cmd=command, handle=cpu if command in of_cpu else handle)
    host.uv.fail(command, 0x1FF, times=None)
    before = host.state()
    assert host.do(block) == (1, 0x1FF)
    if command == UVC.DESTROY_SEC_CONF:
        assert host.uv.configurations[handle].destroy_failed == (0x1FF, 0)
        host.uv.configurations[handle].destroy_failed = None
    assert host.state() == before
    host.uv.faults.clear()
    assert host.do(block) == OK


def test_a_guests_call_can_be_made_to_fail(host):
    handle = host.create()
    host.secure(handle)
    host.uv.fail(UVC.SET_SHARED_ACCESS, 0x1FF)
    assert [host.uv.share(handle, 0), host.uv.share(handle, 0)] == [1, 0]
    host.uv.fail(UVC.REMOVE_SHARED_ACCESS, 0x1FF)
    assert [host.uv.unshare(handle, 0), host.uv.unshare(handle, 0)] == [1, 0]


def test_init_uv_can_be_made_to_fail(off):
    block = off.init_block()
    off.uv.fail(UVC.INIT_UV, 0x1FF)
    assert off.do(block) == (1, 0x1FF) and not off.uv.initialised
    assert off.do(block) == OK


def test_import_and_destroy_can_be_made_to_fail_whether_there_is_work_for_them_or_not(host):
    handle = host.create()
    pfn = host.secure(handle)
    for again in range(2):
        host.uv.fail(UVC.CONV_TO_SEC_STOR, 0x1FF, handle=handle)
        assert host.import_(handle, 0) == (1, 0x1FF), "own page" if not again else "first import"
        host.uv.faults.clear()
        assert host.destroy(pfn) == OK
    host.uv.fail(UVC.DESTR_SEC_STOR, 0x1FF)
    assert [host.destroy(pfn), host.destroy(pfn)] == [(1, 0x1FF), OK]


# What it costs, and who hears of it


def test_prices(host):
    host.heard.clear()
    handle = host.create(guest_len=3 * GIB)
    config = COSTS.config + 3 * COSTS.config_per_gib
    cpu = host.create_cpu(handle)
    host.nodata(UVC.DESTROY_SEC_CPU, cpu)
    pfn = host.secure(handle)
    host.export(pfn)
    host.import_(handle, 0)
    host.destroy(pfn)
    host.unpack(handle, 7)
    host.nodata(UVC.DESTROY_SEC_CONF, handle)
    assert host.heard == [
        (UVC.CREATE_SEC_CONF, "done", config),
        (UVC.SET_SEC_CONF_PARAMS, "done", COSTS.noop),
        (UVC.CREATE_SEC_CPU, "done", COSTS.cpu),
        (UVC.DESTROY_SEC_CPU, "done", COSTS.cpu),
        (UVC.CONV_TO_SEC_STOR, "done", COSTS.import_clear),
        (UVC.CONV_FROM_SEC_STOR, "done", COSTS.export),
        (UVC.CONV_TO_SEC_STOR, "done", COSTS.import_decrypt),
        (UVC.DESTR_SEC_STOR, "done", COSTS.destroy),
        (UVC.UNPACK_IMG, "refused", COSTS.refused),
        (UVC.DESTROY_SEC_CONF, "done", config),
    ]


def test_an_observer_hears_of_a_command_that_does_not_exist(host):
    host.uv.call(uv_cb_header(len=8, cmd=0x4242))
    assert host.heard[-1] == (0x4242, "refused", COSTS.refused)


def test_an_observer_does_not_hear_of_the_guests_calls(host):
    handle = host.create()
    host.secure(handle)
    host.heard.clear()
    host.uv.share(handle, 0)
    assert host.heard == []


# What lets the core learn a page command: it depends on the page's record and the context, on nothing else


RECORDS = [
    Record(state, owner, pinned, content, content_of, measured)
    for state, owner, pinned, content, content_of, measured in itertools.product(
        State, (0, 0x1000, 0x2000), (False, True), Content, (0, 0x1000), (0, 0x1000, 0x2000)
    )
    if (owner != 0) == (state != State.NON_SECURE) and (not pinned or state == State.SHARED)
]


@pytest.mark.parametrize("misc", [False, True])
@pytest.mark.parametrize("old_firmware", [False, True])
@pytest.mark.parametrize("ended", [False, True])
def test_a_page_command_does_the_same_to_every_page_with_the_same_record(misc, old_firmware, ended):
    host = Host(features=["misc"] if misc else [], old_firmware=old_firmware, calls=FAST)
    running, zombie = host.create(), host.create()
    assert (running, zombie) == (0x1000, 0x2000)
    host.create_cpu(running)
    host.unpack(zombie, 0)
    pfns = [host.take(PAGE) // PAGE for _ in range(2)]
    for page, pfn in enumerate(pfns):
        host.map(running, page, pfn)
        host.map(zombie, page, pfn)
    assert not ended or host.destroy_fast(zombie) == OK

    def calls(page):
        for command in UVC.DESTR_SEC_STOR, UVC.CONV_FROM_SEC_STOR, UVC.PIN_PAGE_SHARED:
            yield uv_cb_cfs(cmd=command, paddr=pfns[page] * PAGE)
        for command in UVC.CONV_TO_SEC_STOR, UVC.UNPIN_PAGE_SHARED:
            for handle in running, zombie:
                yield uv_cb_cts(cmd=command, guest_handle=handle, gaddr=page * PAGE)
        yield uv_cb_unp(guest_handle=zombie, gaddr=page * PAGE)

    for record in RECORDS:
        for blocks in zip(calls(0), calls(1), strict=True):
            found = []
            for pfn, block in zip(pfns, blocks, strict=True):
                host.memory.set_record(pfn, record)
                answer = host.do(block)
                found.append((answer, host.memory.record(pfn), host.heard[-1]))
            assert found[0] == found[1]
            assert found[0][0][0] == 0 or found[0][1] == record, "a refused call changes nothing"
            assert found[0][2][1] == "done" or found[0][1] == record, "and so does one that has nothing to do"
            kept = record._replace(**found[0][1]._asdict())
            assert kept[6:] == record[6:], "what is the host's is left to the host"


def recorded_operations():
    """Everything that changes the Ultravisor beyond one page: (name, prepare(host, handle), operation)."""

    def injected(host, handle):
        host.uv.fail(UVC.CONV_FROM_SEC_STOR, 0x1FF)
        return lambda: host.export(5)

    def failing_destroy(host, handle):
        host.uv.fail(UVC.DESTROY_SEC_CONF, 0x1FF, times=None)
        return lambda: host.nodata(UVC.DESTROY_SEC_CONF, handle)

    def of_cpu(operate):
        def prepare(host, handle):
            cpu = host.create_cpu(handle)
            return lambda: operate(host, cpu)

        return prepare

    def unpacking(host, handle):
        host.params(handle)
        host.map(handle, 8, 300)
        return lambda: host.unpack(handle, 8)

    def verifying(host, handle):
        unpacking(host, handle)()
        return lambda: host.nodata(UVC.VERIFY_IMG, handle)

    def creating(make):
        def prepare(host, handle):
            block = make(host, handle)
            return lambda: host.do(block)

        return prepare

    return [
        ("CREATE_SEC_CONF", creating(lambda host, handle: host.conf_block())),
        ("CREATE_SEC_CPU", creating(lambda host, handle: host.cpu_block(handle))),
        ("DESTROY_SEC_CONF", lambda host, handle: lambda: host.nodata(UVC.DESTROY_SEC_CONF, handle)),
        ("DESTROY_SEC_CONF_FAST", lambda host, handle: lambda: host.destroy_fast(handle)),
        ("DESTROY_SEC_CPU", of_cpu(lambda host, cpu: host.nodata(UVC.DESTROY_SEC_CPU, cpu))),
        ("CPU_SET_STATE", of_cpu(lambda host, cpu: host.do(uv_cb_cpu_set_state(cpu_handle=cpu, state=1)))),
        ("SET_SEC_CONF_PARAMS", lambda host, handle: lambda: host.params(handle)),
        ("first UNPACK_IMG", unpacking),
        ("VERIFY_IMG", verifying),
        ("fault to come", lambda host, handle: lambda: host.uv.fail(UVC.QUI, 0x1FF)),
        ("fault used up", injected),
        ("failing DESTROY_SEC_CONF", failing_destroy),
        ("reset", lambda host, handle: host.uv.reset),
    ]


@pytest.mark.parametrize("name, prepare", recorded_operations(), ids=ids(recorded_operations()))
def test_a_change_of_context_is_announced_before_anything_changes(name, prepare):
    host = Host(**Ultravisor.presets["as of 2022"])
    operation = prepare(host, host.create(params=False))
    before, host.memory.recording = host.state(), True
    with pytest.raises(PlainMemory.ContextChanged):
        operation()
    assert host.state() == before
    host.memory.recording, contexts = False, host.memory.contexts
    operation()
    assert host.memory.contexts > contexts and host.state() != before


def test_init_uv_announces_the_change_of_context():
    host = Host(initialised=False)
    block, host.memory.recording = host.init_block(), True
    with pytest.raises(PlainMemory.ContextChanged):
        host.do(block)
    assert not host.uv.initialised


def test_page_commands_do_not_change_the_context(host):
    handle = host.create()
    pfn = host.shared(handle)
    host.uv.fail(UVC.CONV_TO_SEC_STOR, 0x1FF, handle=0x7000, times=None)
    plain = isinstance(host.memory, PlainMemory)
    before = host.memory.contexts if plain else host.memory.context
    host.page_call(UVC.PIN_PAGE_SHARED, pfn)
    host.do(uv_cb_cts(cmd=UVC.UNPIN_PAGE_SHARED, guest_handle=handle))
    for operation in host.export, lambda _: host.import_(handle, 0), host.destroy, host.destroy:
        assert operation(pfn) == OK
    assert (host.memory.contexts if plain else host.memory.context) == before


# Parameters


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"features": "swift"}, "features="),
        ({"features": [64]}, "features="),
        ({"calls": "DESTROY_SEC_CONF"}, r"calls='DESTROY_SEC_CONF': use calls .* \('DESTROY_SEC_CONF_FAST'\)"),
        ({"calls": [0x102, {}]}, "calls="),
        ({"calls": None}, "calls=None: use"),
        ({"cpu_stor_len": 100}, "cpu_stor_len"),
        ({"uv_base_stor_align": 100}, "uv_base_stor_align"),
        ({"donated_from": "2 GB"}, "donated_from"),
        ({"max_guest_address": -1}, "max_guest_address"),
        ({"max_configurations": 0}, "max_configurations=0: use a whole number from 1"),
        ({"max_guest_cpus": 70000}, "max_guest_cpus=70000: use a whole number from 0 to 65,535"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named(parameters, words):
    with pytest.raises(ValueError, match=words):
        Host(**parameters)


def test_assumptions_are_listed_with_value_and_reason():
    assert all(each.what and each.value and each.why for each in ASSUMPTIONS)
    assert len({each.what for each in ASSUMPTIONS}) == len(ASSUMPTIONS)
