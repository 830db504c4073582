"""The cases: what holds of every realtime server, whatever its model says."""

from vivavoce.conformance.cases import (
    door,
    hearing,
    items,
    leniency,
    limits,
    preview,
    refusals,
    responses,
    session,
)
from vivavoce.conformance.driver import Case

CASES: tuple[Case, ...] = (
    *door.CASES,
    *session.CASES,
    *leniency.CASES,
    *refusals.CASES,
    *limits.CASES,
    *items.CASES,
    *responses.CASES,
    *hearing.CASES,
    *preview.CASES,
)
