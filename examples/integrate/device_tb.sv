// SPDX-License-Identifier: Apache-2.0
//
// A first run of the device with rings in memory in a testbench without Python: reset, identity, four
// descriptors, interrupt, counters, CTRL.RESET. It shows an integrator that sources, parameters and
// simulator fit together; what the device does is tested elsewhere.
//
// Expected lines are typed from the contract: OP-000, DEC-002, OP-ERR. Memory and bus master are the
// least that the protocol permits: one transaction at a time. Icarus and Verilator (--binary) run it;
// no delay depends on the time scale.
`default_nettype none

module device_tb
  import hw_desc_pkg::*;
#(
    parameter int WorkerCount = 8
);

  localparam int MemoryLines = 1024;
  localparam int Lines = 4;
  localparam int TimeoutCycles = 5000;
  localparam logic [63:0] CmdBase = 64'h1000;
  localparam logic [63:0] DoneBase = 64'h2000;

  logic clk, rst_n, irq;
  logic [31:0] cycles;

  initial begin
    clk = 1'b0;
    cycles = '0;
    forever begin
      #5 clk = !clk;
    end
  end

  always @(posedge clk) begin
    cycles <= cycles + 1;
    if (cycles > TimeoutCycles) begin
      $fatal(1, "expected the run to end within %0d cycles", TimeoutCycles);
    end
  end

  // ---------------------------------------------------------------- device

  logic [11:0] awaddr, araddr;
  logic awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready;
  logic [31:0] wdata, rdata;
  logic [1:0] bresp, rresp;

  logic [3:0] m_awid, m_arid, m_bid, m_rid, m_awcache, m_arcache;
  logic [63:0] m_awaddr, m_araddr, m_wstrb;
  logic [7:0] m_awlen, m_arlen;
  logic [2:0] m_awsize, m_arsize, m_awprot, m_arprot;
  logic [1:0] m_awburst, m_arburst, m_bresp, m_rresp;
  logic m_awlock, m_arlock, m_awvalid, m_awready, m_wvalid, m_wready, m_wlast;
  logic m_bvalid, m_bready, m_arvalid, m_arready, m_rvalid, m_rready, m_rlast;
  logic [DESC_BITS-1:0] m_wdata, m_rdata;

  rl_runtime_axi #(
      .WorkerCount(WorkerCount)
  ) dut (
      .clk_i         (clk),
      .rst_ni        (rst_n),
      .first_index_i (32'd0),
      .window_last_i (64'(MemoryLines) * 64 - 1),
      .s_axil_awaddr (awaddr),
      .s_axil_awprot (3'd0),
      .s_axil_awvalid(awvalid),
      .s_axil_awready(awready),
      .s_axil_wdata  (wdata),
      .s_axil_wstrb  (4'hF),
      .s_axil_wvalid (wvalid),
      .s_axil_wready (wready),
      .s_axil_bresp  (bresp),
      .s_axil_bvalid (bvalid),
      .s_axil_bready (bready),
      .s_axil_araddr (araddr),
      .s_axil_arprot (3'd0),
      .s_axil_arvalid(arvalid),
      .s_axil_arready(arready),
      .s_axil_rdata  (rdata),
      .s_axil_rresp  (rresp),
      .s_axil_rvalid (rvalid),
      .s_axil_rready (rready),
      .m_axi_awid    (m_awid),
      .m_axi_awaddr  (m_awaddr),
      .m_axi_awlen   (m_awlen),
      .m_axi_awsize  (m_awsize),
      .m_axi_awburst (m_awburst),
      .m_axi_awlock  (m_awlock),
      .m_axi_awcache (m_awcache),
      .m_axi_awprot  (m_awprot),
      .m_axi_awvalid (m_awvalid),
      .m_axi_awready (m_awready),
      .m_axi_wdata   (m_wdata),
      .m_axi_wstrb   (m_wstrb),
      .m_axi_wlast   (m_wlast),
      .m_axi_wvalid  (m_wvalid),
      .m_axi_wready  (m_wready),
      .m_axi_bid     (m_bid),
      .m_axi_bresp   (m_bresp),
      .m_axi_bvalid  (m_bvalid),
      .m_axi_bready  (m_bready),
      .m_axi_arid    (m_arid),
      .m_axi_araddr  (m_araddr),
      .m_axi_arlen   (m_arlen),
      .m_axi_arsize  (m_arsize),
      .m_axi_arburst (m_arburst),
      .m_axi_arlock  (m_arlock),
      .m_axi_arcache (m_arcache),
      .m_axi_arprot  (m_arprot),
      .m_axi_arvalid (m_arvalid),
      .m_axi_arready (m_arready),
      .m_axi_rid     (m_rid),
      .m_axi_rdata   (m_rdata),
      .m_axi_rresp   (m_rresp),
      .m_axi_rlast   (m_rlast),
      .m_axi_rvalid  (m_rvalid),
      .m_axi_rready  (m_rready),
      .irq_o         (irq)
  );

  // ---------------------------------------------------------------- memory

  logic [DESC_BITS-1:0] memory[MemoryLines];
  logic reading_q, writing_q, answering_q;
  logic [63:6] read_line_q, write_line_q;
  logic [7:0] read_left_q;

  assign m_arready = !reading_q;
  assign m_rvalid  = reading_q;
  assign m_rdata   = reading_q ? memory[32'(read_line_q)] : '0;
  assign m_rlast   = read_left_q == 8'd0;
  assign m_rid     = m_arid;
  assign m_rresp   = 2'b00;
  assign m_awready = !writing_q && !answering_q;
  assign m_wready  = writing_q;
  assign m_bvalid  = answering_q;
  assign m_bid     = m_awid;
  assign m_bresp   = 2'b00;

  always @(posedge clk) begin
    if (!rst_n) begin
      reading_q <= 1'b0;
      writing_q <= 1'b0;
      answering_q <= 1'b0;
    end else begin
      if (m_arvalid && m_arready) begin
        reading_q   <= 1'b1;
        read_line_q <= m_araddr[63:6];
        read_left_q <= m_arlen;
      end else if (m_rvalid && m_rready) begin
        reading_q   <= !m_rlast;
        read_line_q <= read_line_q + 58'd1;
        read_left_q <= read_left_q - 8'd1;
      end
      if (m_awvalid && m_awready) begin
        writing_q    <= 1'b1;
        write_line_q <= m_awaddr[63:6];
      end else if (m_wvalid && m_wready) begin
        for (int k = 0; k < 64; k++) begin
          if (m_wstrb[k]) begin
            memory[32'(write_line_q)][8*k+:8] <= m_wdata[8*k+:8];
          end
        end
        writing_q    <= !m_wlast;
        answering_q  <= m_wlast;
        write_line_q <= write_line_q + 58'd1;
      end
      if (m_bvalid && m_bready) begin
        answering_q <= 1'b0;
      end
    end
  end

  // ---------------------------------------------------------------- host

  task automatic write_reg(input logic [11:0] address, input logic [31:0] value);
    @(negedge clk);
    awaddr = address;
    wdata = value;
    awvalid = 1'b1;
    wvalid = 1'b1;
    // Both are ready between accesses, since the response of the last one has been taken.
    @(negedge clk);
    awvalid = 1'b0;
    wvalid = 1'b0;
    while (!bvalid) @(negedge clk);
    if (bresp != 2'b00) $fatal(1, "expected BRESP OKAY, got %b", bresp);
  endtask

  task automatic read_reg(input logic [11:0] address, output logic [31:0] value);
    @(negedge clk);
    araddr = address;
    arvalid = 1'b1;
    @(negedge clk);
    arvalid = 1'b0;
    while (!rvalid) @(negedge clk);
    if (rresp != 2'b00) $fatal(1, "expected RRESP OKAY, got %b", rresp);
    value = rdata;
    @(negedge clk);
  endtask

  task automatic expect_reg(input logic [11:0] address, input logic [31:0] expected);
    logic [31:0] value;
    read_reg(address, value);
    if (value !== expected) begin
      $fatal(1, "register 0x%h: expected 0x%h, got 0x%h", address, expected, value);
    end
  endtask

  task automatic put_line(input int index, input logic [15:0] opcode, input logic [31:0] present,
                          input logic [31:0] wanted);
    hw_desc_t line;
    line = '0;
    line.opcode = opcode;
    line.seq_len = present;
    line.max_tokens = wanted;
    line.user_data = 64'hC0DE_0000 + 64'(index);
    memory[32'(CmdBase / 64) + index] = line;
  endtask

  task automatic expect_line(input int index, input logic [15:0] flags, input logic [31:0] present);
    hw_desc_t line;
    line = memory[32'(DoneBase/64)+index];
    if (line.flags !== flags || line.seq_len !== present ||
        line.user_data !== 64'hC0DE_0000 + 64'(index)) begin
      $fatal(1, "completion %0d: expected flags 0x%h, seq_len %0d, got flags 0x%h, seq_len %0d",
             index, flags, present, line.flags, line.seq_len);
    end
  endtask

  logic [31:0] tail;

  initial begin
    {awvalid, wvalid, arvalid} = '0;
    {awaddr, araddr, wdata} = '0;
    {bready, rready} = 2'b11;
    rst_n = 1'b0;
    repeat (4) @(negedge clk);
    rst_n = 1'b1;

    expect_reg(REG_ID, DEVICE_ID);
    expect_reg(REG_VERSION, CONTRACT_VERSION);
    expect_reg(REG_CONTRACT_HASH, CONTRACT_HASH);
    expect_reg(REG_STATUS, 32'h1);

    put_line(0, OPCODE_NOP, 32'd7, 32'd0);
    put_line(1, OPCODE_DECODE, 32'd5, 32'd10);
    put_line(2, OPCODE_DECODE, 32'd0, 32'd100);
    put_line(3, 16'd9, 32'd3, 32'd4);

    write_reg(REG_RING_LOG2, 32'h020202);
    write_reg(REG_CMD_BASE_LO, 32'(CmdBase));
    write_reg(REG_CMD_BASE_HI, 32'(CmdBase >> 32));
    write_reg(REG_DONE_BASE_LO, 32'(DoneBase));
    write_reg(REG_DONE_BASE_HI, 32'(DoneBase >> 32));
    write_reg(REG_IRQ_MASK, 32'h1);
    write_reg(REG_CTRL, 32'h1);
    write_reg(REG_DOORBELL, Lines);

    while (!irq) @(negedge clk);
    tail = '0;
    while (tail != Lines) read_reg(REG_DONE_TAIL, tail);
    // DONE, DONE, NEEDS_REWARD, ERROR with BAD_OPCODE.
    expect_line(0, 16'h0002, 32'd7);
    expect_line(1, 16'h0002, 32'd10);
    expect_line(2, 16'h0001, 32'd32);
    expect_line(3, 16'h0210, 32'd3);

    expect_reg(REG_CNT_DESCRIPTORS, Lines);
    expect_reg(REG_CNT_TOKENS_LO, 32'd37);
    expect_reg(REG_CNT_ERRORS, 32'd1);
    write_reg(REG_IRQ_STATUS, 32'h7);
    @(negedge clk);
    if (irq) $fatal(1, "expected the interrupt to fall once its event is cleared");

    write_reg(REG_CTRL, 32'h2);
    tail = '0;
    while (!tail[STATUS_READY_BIT]) read_reg(REG_STATUS, tail);
    expect_reg(REG_DONE_TAIL, 32'd0);
    $display("device_tb: %0d descriptors completed by the contract", Lines);
    $finish;
  end

endmodule

`default_nettype wire
