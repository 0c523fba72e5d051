# SPDX-License-Identifier: Apache-2.0
"""The rules of AXI4 and AXI4-Lite that the monitor checks, and the arithmetic of bursts.

A rule has the name that it has among Arm's own protocol assertions (DUI 0534), so that a violation
can be looked up, and the section of the standard that states it (AMBA AXI and ACE Protocol
Specification, IHI 0022E). M in a name stands for the master's side, S for the slave's. Two kinds
have no counterpart there: ``ERRS_BID`` (the sibling of ``ERRS_RID``), and ``*VALID_WAIT`` (a source
that waits for ready before it offers anything), which no passive check can see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

FIXED, INCR, WRAP = range(3)
OKAY, EXOKAY, SLVERR, DECERR = range(4)

_PAGE = 4096
_ADDRESS = ("id", "addr", "len", "size", "burst", "lock", "cache", "prot", "qos", "region")

PAYLOAD: Mapping[str, tuple[str, ...]] = {
    "aw": _ADDRESS,
    "w": ("data", "strb", "last"),
    "b": ("id", "resp"),
    "ar": _ADDRESS,
    "r": ("id", "data", "resp", "last"),
}
"""The payload signals of each channel, without the channel's name; a bus may lack some."""

SOURCE: Mapping[str, str] = {"aw": "M", "w": "M", "b": "S", "ar": "M", "r": "S"}
"""Who drives a channel's valid and payload: the master or the slave. The other drives ready."""


class Rule(NamedTuple):
    """A rule: its id, the section that states it, and the rule in a sentence."""

    id: str
    section: str
    text: str


def _handshake_rules() -> Iterator[Rule]:
    for channel, names in PAYLOAD.items():
        bus, source = channel.upper(), f"AXI4_ERR{SOURCE[channel]}"
        sink = "AXI4_ERRS" if SOURCE[channel] == "M" else "AXI4_ERRM"
        yield Rule(
            f"{source}_{bus}VALID_RESET",
            "A3.1.2",
            f"{bus}VALID is low in reset, and until an edge has seen reset released",
        )
        yield Rule(
            f"{source}_{bus}VALID_STABLE",
            "A3.2.1",
            f"once high, {bus}VALID stays high until {bus}READY is high",
        )
        yield Rule(
            f"{source}_{bus}VALID_WAIT",
            "A3.2.1",
            f"{bus}VALID does not wait for {bus}READY",
        )
        yield Rule(f"{source}_{bus}VALID_X", "A3.2.2", f"{bus}VALID is 0 or 1 outside reset")
        yield Rule(f"{sink}_{bus}READY_X", "A3.2.2", f"{bus}READY is 0 or 1 outside reset")
        for name in names:
            signal = bus + name.upper()
            yield Rule(
                f"{source}_{signal}_STABLE",
                "A3.2.1",
                f"{signal} is stable while {bus}VALID is high and {bus}READY is low",
            )
            yield Rule(
                f"{source}_{signal}_X", "A3.2.2", f"{signal} has no X while {bus}VALID is high"
            )


def _address_rules() -> Iterator[Rule]:
    texts = {
        "ADDR_BOUNDARY": ("A3.4.1", "a burst does not cross a boundary of 4 KiB"),
        "ADDR_WRAP_ALIGN": ("A3.4.1", "a wrapping burst starts at a multiple of its beats' size"),
        "LEN_WRAP": ("A3.4.1", "a wrapping burst has 2, 4, 8 or 16 beats"),
        "LEN_FIXED": ("A3.4.1", "a burst to a fixed address has at most 16 beats"),
        "SIZE": ("A3.4.1", "a beat is not wider than the bus"),
        "BURST": ("A3.4.1", "burst type 3 is reserved"),
        "CACHE": ("A4.4", "bits 3:2 of CACHE are 0 where bit 1 (modifiable) is"),
        "LEN_LOCK": ("A7.2.4", "an exclusive access has at most 16 beats"),
        "EXCL_ALIGN": ("A7.2.4", "an exclusive access is aligned to its total size"),
        "EXCL_LEN": ("A7.2.4", "the bytes of an exclusive access are a power of two"),
        "EXCL_MAX": ("A7.2.4", "an exclusive access has at most 128 bytes"),
    }
    for channel in ("AW", "AR"):
        for name, (section, text) in texts.items():
            yield Rule(f"AXI4_ERRM_{channel}{name}", section, text)


_TRANSACTION_RULES = (
    Rule("AXI4_ERRM_WDATA_NUM", "A3.4.1", "WLAST marks the beat that AWLEN defines as the last"),
    Rule("AXI4_ERRM_WSTRB", "A3.4.3", "strobes are high only on lanes that the beat's address has"),
    Rule("AXI4_ERRS_BRESP_AW", "A3.3.1", "a write response follows its address"),
    Rule("AXI4_ERRS_BRESP_WLAST", "A3.3.1", "a write response follows its last data"),
    Rule("AXI4_ERRS_BID", "A5.3", "a write response has the id of a write without one"),
    Rule("AXI4_ERRS_BRESP_EXOKAY", "A7.2.3", "EXOKAY is a response to exclusive writes only"),
    Rule("AXI4_ERRS_BRESP_ALL_DONE_EOS", "A3.3.1", "at the end every write has its response"),
    Rule("AXI4_ERRS_RID", "A5.3", "read data have the id of a read that still lacks some"),
    Rule("AXI4_ERRS_RDATA_NUM", "A3.4.1", "RLAST marks the beat that ARLEN defines as the last"),
    Rule("AXI4_ERRS_RRESP_EXOKAY", "A7.2.3", "EXOKAY is a response to exclusive reads only"),
    Rule("AXI4_ERRS_RLAST_ALL_DONE_EOS", "A3.3.1", "at the end every read has all its data"),
    Rule("AXI4LITE_ERRS_BRESP_EXOKAY", "B1.1.1", "AXI4-Lite has no EXOKAY"),
    Rule("AXI4LITE_ERRS_RRESP_EXOKAY", "B1.1.1", "AXI4-Lite has no EXOKAY"),
)

RULES: Mapping[str, Rule] = {
    rule.id: rule for rule in (*_handshake_rules(), *_address_rules(), *_TRANSACTION_RULES)
}
"""Every rule that the monitor checks, by id."""


class Burst(NamedTuple):
    """The transaction of an address channel; ``beats`` is AxLEN + 1, ``size`` in bytes."""

    id: int
    address: int
    beats: int
    size: int
    kind: int
    exclusive: bool

    def faults(self, bus_bytes: int, cache: int) -> Iterator[str]:
        """The rules that this burst breaks, without ``AXI4_ERRM_AW`` or ``..._AR`` in front."""
        total = self.beats * self.size
        if self.size > bus_bytes:
            yield "SIZE"
        if self.kind == INCR and (self.address & -self.size) % _PAGE + total > _PAGE:
            yield "ADDR_BOUNDARY"
        if self.kind == WRAP:
            if self.beats not in (2, 4, 8, 16):
                yield "LEN_WRAP"
            if self.address % self.size:
                yield "ADDR_WRAP_ALIGN"
        if self.kind == FIXED and self.beats > 16:
            yield "LEN_FIXED"
        if self.kind > WRAP:
            yield "BURST"
        if cache & 0b1100 and not cache & 0b0010:
            yield "CACHE"
        if self.exclusive:
            if self.beats > 16:
                yield "LEN_LOCK"
            if total & (total - 1):
                yield "EXCL_LEN"
            elif self.address % total:
                yield "EXCL_ALIGN"
            if total > 128:
                yield "EXCL_MAX"

    def lanes(self, beat: int, bus_bytes: int) -> int:
        """The strobes that beat number ``beat``, from 0, may set, one bit a byte (A3.4.3)."""
        start = self.address & -self.size
        if self.kind == FIXED or beat == 0:
            low = self.address
        elif self.kind == WRAP:
            total = self.beats * self.size
            floor = self.address & -total
            low = floor + (start - floor + beat * self.size) % total
        else:
            low = start + beat * self.size
        high = (low & -self.size) + self.size
        mask = (1 << high - (low & -bus_bytes)) - 1
        return mask & -1 << low % bus_bytes
