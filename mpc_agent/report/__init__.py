"""The report of a batch: one self-contained HTML page, made from its record."""

from mpc_agent.report.page import render, write_report
from mpc_agent.report.sources import Result, Sources, find_sources

__all__ = ["Result", "Sources", "find_sources", "render", "write_report"]
