# SPDX-License-Identifier: Apache-2.0
"""Which valid an output belongs to, outside which it may be X."""

from __future__ import annotations

import pytest
from descring_vip.x_checker import valid_of


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("m_axi_awaddr", "m_axi_awvalid"),
        ("m_axi_wdata", "m_axi_wvalid"),
        ("m_axi_wlast", "m_axi_wvalid"),
        ("m_axi_arlen", "m_axi_arvalid"),
        ("s_axil_rdata", "s_axil_rvalid"),
        ("data_o", "valid_o"),
        ("done_data_o", "done_valid_o"),
        # A valid, a ready, a level, a count: never X.
        ("m_axi_awvalid", None),
        ("m_axi_rready", None),
        ("valid_o", None),
        ("irq_o", None),
        ("cmd_head_o", None),
        # Its valid is reg_rvalid_o, and without it the register file returns 0.
        ("reg_rdata_o", None),
        # Its port has no valid here.
        ("reward_data_o", None),
    ],
)
def test_a_payload_has_its_valid(name: str, valid: str | None) -> None:
    """An AXI payload by its channel, data of a port by the port."""
    outputs = [
        *("m_axi_awaddr", "m_axi_awvalid", "m_axi_wdata", "m_axi_wlast", "m_axi_wvalid"),
        *("m_axi_arlen", "m_axi_arvalid", "m_axi_rready", "s_axil_rdata", "s_axil_rvalid"),
        *("data_o", "valid_o", "done_data_o", "done_valid_o", "irq_o", "cmd_head_o"),
        *("reg_rdata_o", "reg_rvalid_o", "reward_data_o"),
    ]
    assert valid_of(name, outputs) == valid
