"""Refusal: a command turned down, with the API's type, code and param.

Message forms follow the protocol reference, client-events section 4: some clients match on them.
"""


class Refusal(Exception):  # noqa: N818 - the API's word for it, and not a failure of ours
    """The client asked for something that cannot be; the session answers with an error event."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = "invalid_value",
        param: str | None = None,
        kind: str = "invalid_request_error",
        event_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.event_id = event_id

    def of(self, event_id: str | None) -> "Refusal":
        """The same refusal, naming the client's event at fault."""
        self.event_id = event_id
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refusal) and vars(self) == vars(other)

    __hash__ = Exception.__hash__
