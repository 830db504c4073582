"""The cases: what holds of every realtime server, whatever its model says."""

from vivavoce.conformance.cases import hearing, items, preview, refusals, responses, session
from vivavoce.conformance.driver import Case

CASES: tuple[Case, ...] = (
    *session.CASES,
    *refusals.CASES,
    *items.CASES,
    *responses.CASES,
    *hearing.CASES,
    *preview.CASES,
)
