// SPDX-License-Identifier: Apache-2.0
//
// How FVIP's checkers are set in a proof's harness, which includes this: the unit is the SOURCE that
// they verify.
//
// Of the memory they then assume no more than that what it presents stays until it is taken, and that
// it presents nothing in reset. So EXOKAY is allowed, which needs EXCLUSIVE_ACCESS; and the advice that
// READY rises within MAXWAIT cycles is in force only for a channel whose READY the unit gives
// (`recommended`), with the least wait that there is. The strobes of a word are not all set, which
// OPTIONAL_WSTRB would forbid.
function automatic amba_axi4_protocol_checker_pkg::axi4_checker_params_t fvip_config(
    input logic recommended);
  fvip_config = '{
      ID_WIDTH: 4, ADDRESS_WIDTH: 64, DATA_WIDTH: DataWidth,
      AWUSER_WIDTH: 1, WUSER_WIDTH: 1, BUSER_WIDTH: 1, ARUSER_WIDTH: 1, RUSER_WIDTH: 1,
      MAX_WR_BURSTS: MaxOutstanding, MAX_RD_BURSTS: MaxOutstanding,
      MAX_WR_LENGTH: MaxBurst * Beats, MAX_RD_LENGTH: MaxBurst * Beats, MAXWAIT: 1,
      VERIFY_AGENT_TYPE: amba_axi4_protocol_checker_pkg::SOURCE,
      PROTOCOL_TYPE: amba_axi4_protocol_checker_pkg::AXI4FULL,
      INTERFACE_REQS: 1, CHECK_PARAMETERS: 1, OPTIONAL_RESET: 1, EXCLUSIVE_ACCESS: 1,
      ARM_RECOMMENDED: recommended, default: 0};
endfunction
