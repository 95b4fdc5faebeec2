"""The control blocks are, byte for byte, those of the machine."""

from ctypes import sizeof

import pytest

from lazydestroy import uvcb
from lazydestroy.uvcb import (
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

BLOCKS = {
    uv_cb_header: 8,
    uv_cb_qui: 256,
    uv_cb_init: 72,
    uv_cb_cgc: 128,
    uv_cb_csc: 96,
    uv_cb_cts: 40,
    uv_cb_cfs: 32,
    uv_cb_ssc: 80,
    uv_cb_unp: 80,
    uv_cb_nodata: 64,
    uv_cb_destroy_fast: 72,
    uv_cb_share: 48,
    uv_cb_cpu_set_state: 80,
}

OFFSETS = [
    (uv_cb_header, {"len": 0, "cmd": 2, "rc": 4, "rrc": 6}),
    (
        uv_cb_qui,
        {
            "inst_calls_list": 0x10,
            "uv_base_stor_len": 0x40,
            "conf_base_phys_stor_len": 0x50,
            "conf_base_virt_stor_len": 0x58,
            "conf_virt_var_stor_len": 0x60,
            "cpu_stor_len": 0x68,
            "max_num_sec_conf": 0x7C,
            "max_guest_stor_addr": 0x80,
            "max_guest_cpus": 0x9E,
            "max_guest_cpu_id": 0x9E,
            "uv_feature_bits": 0xA0,
            "uv_feature_indications": 0xA0,
            "reserveda8": 0xA8,
        },
    ),
    (uv_cb_init, {"stor_origin": 0x18, "stor_len": 0x20}),
    (
        uv_cb_cgc,
        {
            "guest_handle": 0x18,
            "conf_base_stor_origin": 0x20,
            "conf_var_stor_origin": 0x28,
            "conf_virt_stor_origin": 0x28,
            "guest_stor_origin": 0x38,
            "guest_stor_len": 0x40,
            "guest_sca": 0x48,
            "guest_asce": 0x50,
        },
    ),
    (
        uv_cb_csc,
        {"cpu_handle": 0x18, "guest_handle": 0x20, "stor_origin": 0x28, "num": 0x36, "state_origin": 0x38},
    ),
    (uv_cb_cts, {"guest_handle": 0x18, "gaddr": 0x20}),
    (uv_cb_cfs, {"paddr": 0x18}),
    (uv_cb_ssc, {"guest_handle": 0x18, "sec_header_origin": 0x20, "sec_header_len": 0x28}),
    (uv_cb_unp, {"guest_handle": 0x18, "gaddr": 0x20, "tweak": 0x28}),
    (uv_cb_nodata, {"handle": 0x18}),
    (uv_cb_destroy_fast, {"handle": 0x18, "reserved20": 0x20}),
    (uv_cb_share, {"paddr": 0x20}),
    (uv_cb_cpu_set_state, {"cpu_handle": 0x18, "state": 0x27}),
]

# Command, number, bit of the query, block
COMMANDS = [
    ("QUI", 0x0001, 0, uv_cb_qui),
    ("INIT_UV", 0x000F, 1, uv_cb_init),
    ("CREATE_SEC_CONF", 0x0100, 2, uv_cb_cgc),
    ("DESTROY_SEC_CONF", 0x0101, 3, uv_cb_nodata),
    ("DESTROY_SEC_CONF_FAST", 0x0102, 23, uv_cb_destroy_fast),
    ("CREATE_SEC_CPU", 0x0120, 4, uv_cb_csc),
    ("DESTROY_SEC_CPU", 0x0121, 5, uv_cb_nodata),
    ("CONV_TO_SEC_STOR", 0x0200, 6, uv_cb_cts),
    ("CONV_FROM_SEC_STOR", 0x0201, 7, uv_cb_cfs),
    ("DESTR_SEC_STOR", 0x0202, 12, uv_cb_cfs),
    ("SET_SEC_CONF_PARAMS", 0x0300, 11, uv_cb_ssc),
    ("UNPACK_IMG", 0x0301, 13, uv_cb_unp),
    ("VERIFY_IMG", 0x0302, 14, uv_cb_nodata),
    ("CPU_RESET", 0x0310, 15, uv_cb_nodata),
    ("CPU_RESET_INITIAL", 0x0311, 16, uv_cb_nodata),
    ("CPU_RESET_CLEAR", 0x0321, 19, uv_cb_nodata),
    ("PREPARE_RESET", 0x0320, 18, uv_cb_nodata),
    ("CPU_SET_STATE", 0x0330, 17, uv_cb_cpu_set_state),
    ("SET_UNSHARE_ALL", 0x0340, 20, uv_cb_nodata),
    ("PIN_PAGE_SHARED", 0x0341, 21, uv_cb_cfs),
    ("UNPIN_PAGE_SHARED", 0x0342, 22, uv_cb_cts),
    ("SET_SHARED_ACCESS", 0x1000, 8, uv_cb_share),
    ("REMOVE_SHARED_ACCESS", 0x1001, 9, uv_cb_share),
    ("RETR_ATTEST", 0x1020, 28, None),
]


@pytest.mark.parametrize("block, size", BLOCKS.items(), ids=lambda value: getattr(value, "__name__", None))
def test_a_block_has_the_size_of_the_machine(block, size):
    assert sizeof(block) == size


@pytest.mark.parametrize("block, offsets", OFFSETS, ids=[block.__name__ for block, _ in OFFSETS])
def test_fields_lie_where_the_machine_looks(block, offsets):
    assert {name: getattr(block, name).offset for name in offsets} == offsets


@pytest.mark.parametrize("name, number, bit, block", COMMANDS, ids=[row[0] for row in COMMANDS])
def test_a_command_has_its_number_bit_and_block(name, number, bit, block):
    assert UVC[name] == number
    assert QUERY_BITS.get(UVC[name]) == bit
    if block is not None:
        header = block(cmd=UVC[name]).header
        assert (header.len, header.cmd, header.rc, header.rrc) == (sizeof(block), number, 0, 0)


def test_there_are_no_other_commands():
    assert {command.name for command in UVC} == {row[0] for row in COMMANDS}


def test_commands_have_the_kernels_names_and_answer_to_those_of_kvm_unit_tests():
    second = {name: command.name for name, command in UVC.__members__.items() if name != command.name}
    assert second == {"SET_UNSHARED_ALL": "SET_UNSHARE_ALL", "ATTESTATION": "RETR_ATTEST"}


def test_numbers_are_big_endian():
    block = uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=0x123456789ABCDEF0)
    assert bytes(block).hex() == "0020020200000000" + "00" * 16 + "123456789abcdef0"


def test_a_block_of_one_command_knows_it():
    for block, command in [
        (uv_cb_qui, UVC.QUI),
        (uv_cb_init, UVC.INIT_UV),
        (uv_cb_cgc, UVC.CREATE_SEC_CONF),
        (uv_cb_csc, UVC.CREATE_SEC_CPU),
        (uv_cb_destroy_fast, UVC.DESTROY_SEC_CONF_FAST),
        (uv_cb_ssc, UVC.SET_SEC_CONF_PARAMS),
        (uv_cb_unp, UVC.UNPACK_IMG),
        (uv_cb_cpu_set_state, UVC.CPU_SET_STATE),
    ]:
        assert block().header.cmd == command


def test_a_page_is_imported_unless_unpin_is_said():
    assert uv_cb_cts().header.cmd == UVC.CONV_TO_SEC_STOR
    assert uv_cb_cts(cmd=UVC.UNPIN_PAGE_SHARED).header.cmd == UVC.UNPIN_PAGE_SHARED


@pytest.mark.parametrize("block", [uv_cb_cfs, uv_cb_nodata, uv_cb_share])
def test_a_block_of_several_commands_has_none_until_it_is_said(block):
    assert (block().header.cmd, block().header.len) == (0, sizeof(block))


def test_a_command_may_be_a_plain_number():
    assert uv_cb_nodata(cmd=0x0302).header.cmd == UVC.VERIFY_IMG


def test_a_block_refuses_the_command_of_another():
    with pytest.raises(ValueError, match="uv_cb_cfs is the block of CONV_FROM_SEC_STOR, DESTR_SEC_STOR"):
        uv_cb_cfs(cmd=UVC.DESTROY_SEC_CONF)


def test_an_explicit_header_may_say_anything():
    block = uv_cb_cfs(header=uv_cb_header(len=8, cmd=0x4242), paddr=0x1000)
    assert (block.header.len, block.header.cmd, block.paddr) == (8, 0x4242, 0x1000)
    with pytest.raises(TypeError, match="not both"):
        uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, header=uv_cb_header())


def test_the_header_is_part_of_the_block():
    block = uv_cb_nodata(cmd=UVC.VERIFY_IMG)
    block.header.len -= 8
    assert block.header.len == 56 and uv_cb_nodata(cmd=UVC.VERIFY_IMG).header.len == 64


def test_a_misspelt_field_is_an_error():
    with pytest.raises(AttributeError):
        uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, padr=0x1000)
    with pytest.raises(AttributeError):
        uv_cb_cfs().padr = 0x1000


def test_both_names_of_a_field_reach_it():
    assert uv_cb_cgc(conf_virt_stor_origin=0x5000).conf_var_stor_origin == 0x5000
    assert uv_cb_qui(max_guest_cpus=7).max_guest_cpu_id == 7
    assert uv_cb_qui(uv_feature_indications=7).uv_feature_bits == 7


def test_a_block_shows_itself_in_hexadecimal():
    shown = repr(uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=0x1000))
    assert shown == "uv_cb_cfs(len=0x20, cmd=DESTR_SEC_STOR, rc=0x0, rrc=0x0, paddr=0x1000)"
    assert repr(uv_cb_header(len=8, cmd=0x4242)) == "uv_cb_header(len=0x8, cmd=0x4242, rc=0x0, rrc=0x0)"
    assert "tweak=[0x1, 0x2]" in repr(uv_cb_unp(tweak=(1, 2)))
    assert repr(UVC.DESTR_SEC_STOR) == "UVC.DESTR_SEC_STOR"


def test_general_response_codes():
    assert {name: value for name, value in vars(uvcb).items() if name.startswith("UVC_RC_")} == {
        "UVC_RC_EXECUTED": 0x0001,
        "UVC_RC_INV_CMD": 0x0002,
        "UVC_RC_INV_STATE": 0x0003,
        "UVC_RC_INV_LEN": 0x0005,
        "UVC_RC_NO_RESUME": 0x0007,
        "UVC_RC_INV_GHANDLE": 0x0020,
        "UVC_RC_INV_CHANDLE": 0x0021,
        "UVC_RC_MORE_DATA": 0x0100,
        "UVC_RC_NEED_DESTROY": 0x8000,
    }
