"""A CUDA device, or the CPU in its place: what it can do at most, and how to time it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _machine import description
from _parts import Part, arguments
from _tables import write


@dataclass(frozen=True)
class Card:
    """What a device can do at most, measured here.

    Attributes
    ----------
    bandwidth : float
        Bytes per second that a copy within its memory reads and writes.
    products : float
        Float32 operations per second of a product of large matrices.
    link : float
        Bytes per second that arrive from pinned memory of the host.
    """

    bandwidth: float
    products: float
    link: float

    @classmethod
    def of(cls, device: torch.device) -> Card:
        """Measure a device, the CPU with less."""
        on_card = device.type == "cuda"
        size, order = (2**28, 8192) if on_card else (2**22, 1024)
        a, b = (torch.ones(size, device=device) for _ in range(2))
        left, right = (torch.ones(order, order, device=device) for _ in range(2))
        out = torch.empty_like(left)
        host = torch.ones(size, pin_memory=on_card)
        return cls(
            8 * size / quickest(lambda: b.copy_(a), device),
            2 * order**3 / quickest(lambda: torch.mm(left, right, out=out), device),
            4 * size / quickest(lambda: a.copy_(host, non_blocking=True), device),
        )

    def __str__(self) -> str:
        return (
            f"{self.bandwidth / 1e9:.0f} GB/s within the device, {self.link / 1e9:.1f} GB/s to it, "
            f"{self.products / 1e12:.2f} TFLOP/s in float32"
        )


def quickest(function: Callable[[], Any], device: torch.device, repeats: int = 3) -> float:
    """Seconds of the quickest of several calls."""
    return min(timed(function, device)[1] for _ in range(repeats))


def timed(function: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """A value, and the seconds until the device has done all that it takes."""
    wait(device)
    begun = time.perf_counter()
    value = function()
    wait(device)
    return value, time.perf_counter() - begun


def wait(device: torch.device) -> None:
    """Until the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def device_name(device: torch.device) -> str:
    """The card's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU in its place"


def run_on_card(document: str | None, parts: dict[str, Part], rows: int, small: int) -> None:
    """Read the command line, and make the tables where there is a CUDA device or `--cpu`.

    Parts find the device in ``options.device``, and ``options.rows``: by default `rows` on a CUDA
    device and `small` with the CPU in its place.
    """
    parser = arguments(document, parts)
    parser.add_argument("--rows", type=int, help=f"default {rows:,}, or {small:,} with --cpu")
    parser.add_argument("--cpu", action="store_true", help="the CPU in the place of the device")
    options: argparse.Namespace = parser.parse_args()
    if unknown := set(options.parts) - set(parts):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(parts)}")
    if not options.cpu and not torch.cuda.is_available():
        sys.exit(
            "torch finds no CUDA device: nothing was measured. "
            "Use --cpu to run the same code on the CPU, at a small size."
        )
    options.device = torch.device("cpu" if options.cpu else "cuda")
    options.rows = options.rows or (small if options.cpu else rows)
    machine = description()
    print(machine)
    how = " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    for name in options.parts or parts:
        table = parts[name](options)
        if options.write:
            write(table, machine, how)
