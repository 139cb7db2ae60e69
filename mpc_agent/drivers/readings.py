"""From raw values to Readings: conversion of units and judgement of values, nothing else."""

import math
from collections.abc import Mapping

from mpc_agent.drivers.link import RawValue
from mpc_agent.drivers.nodes import NodeAddress
from mpc_agent.drivers.tags import Signal, TagMap
from mpc_agent.values import Dose, PlantStatus, Quality, Reading, Readings, Sample

LAB = "plant lab system"
"""Who entered a result that came with the scan."""


def finite(raw: RawValue | None) -> float | None:
    """The number in a raw value; None when there is none or it is not finite."""
    if raw is None or raw.quality is Quality.BAD or isinstance(raw.value, bool | str | None):
        return None
    return float(raw.value) if math.isfinite(raw.value) else None


def make_reading(
    signal: Signal, raw: RawValue | None, read_at_s: float, clock_offset_s: float
) -> Reading:
    """One reading in the model's unit. A BAD reading has no value: it is NaN."""
    sampled_at_s = read_at_s
    if raw is not None:
        stamp = raw.source_s if raw.source_s is not None else raw.server_s
        sampled_at_s = read_at_s if stamp is None else stamp - clock_offset_s
    number = finite(raw)
    if raw is None or number is None:
        return Reading(signal.name, math.nan, sampled_at_s, Quality.BAD)
    return Reading(signal.name, signal.conversion.to_model(number), sampled_at_s, raw.quality)


def make_sample(signal: Signal, raw: RawValue | None) -> Sample | None:
    """One lab result; None without a good value and the time at which the sample was drawn."""
    number = finite(raw)
    if raw is None or number is None or raw.quality is not Quality.GOOD or raw.source_s is None:
        return None
    return Sample(
        analyte=signal.name,
        value=signal.conversion.to_model(number),
        unit=signal.unit,
        drawn_at_s=raw.source_s,
        entered_at_s=raw.source_s if raw.server_s is None else raw.server_s,
        entered_by=LAB,
    )


def make_dose(signal: Signal, raw: RawValue | None) -> Dose | None:
    """One booking, of nothing where it is taken back; None without a good volume and its time."""
    number = finite(raw)
    if raw is None or number is None or raw.quality is not Quality.GOOD or raw.source_s is None:
        return None
    volume_L = signal.conversion.to_model(number)
    if not 0 <= volume_L < math.inf:
        return None
    return Dose(signal.name, volume_L, raw.source_s)


def make_doses(tags: TagMap, raw: Mapping[NodeAddress, RawValue]) -> tuple[Dose, ...]:
    """The bookings of a scan, one per liquid and time.

    Two tags may book the same liquid at the same moment (antifoam and a rinse, both water); who
    counts bookings knows them by liquid and time, so that these become one.
    """
    volumes: dict[tuple[str, float], float] = {}
    for signal in tags.doses:
        dose = make_dose(signal, raw.get(signal.address))
        if dose is not None:
            key = (dose.what, dose.given_at_s)
            volumes[key] = volumes.get(key, 0.0) + dose.volume_L
    return tuple(Dose(what, volume_L, at_s) for (what, at_s), volume_L in volumes.items())


def make_readings(
    tags: TagMap,
    raw: Mapping[NodeAddress, RawValue],
    read_at_s: float,
    clock_offset_s: float,
    status: PlantStatus,
) -> Readings:
    """One scan. Every configured signal is there, BAD when nothing came for it."""
    setpoints = {
        item.name: item.conversion.to_model(number)
        for item in tags.setpoints
        if (number := finite(raw.get(item.readback))) is not None
    }
    samples = (make_sample(signal, raw.get(signal.address)) for signal in tags.assays)
    return Readings(
        read_at_s=read_at_s,
        measured={
            signal.name: make_reading(signal, raw.get(signal.address), read_at_s, clock_offset_s)
            for signal in tags.measured
        },
        inputs={
            signal.name: make_reading(signal, raw.get(signal.address), read_at_s, clock_offset_s)
            for signal in tags.inputs
        },
        setpoints=setpoints,
        samples=tuple(sample for sample in samples if sample is not None),
        status=status,
        doses=make_doses(tags, raw),
    )
