"""OPC-UA services that differ from the library's: judged writes, honest republishing, own users."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import UserRole
from asyncua.server.address_space import AddressSpace, AttributeService
from asyncua.server.internal_server import InternalServer
from asyncua.server.subscription_service import SubscriptionService

from sim_plant.address_space import VARIANT_TYPES
from sim_plant.tags import Access, Tag, TagContent, WriteStatus

_STATUS: Final[Mapping[WriteStatus, int]] = {
    WriteStatus.GOOD: ua.StatusCodes.Good,
    WriteStatus.CLAMPED: ua.StatusCodes.GoodClamped,
    WriteStatus.NOT_WRITABLE: ua.StatusCodes.BadNotWritable,
    WriteStatus.OUT_OF_RANGE: ua.StatusCodes.BadOutOfRange,
    WriteStatus.TYPE_MISMATCH: ua.StatusCodes.BadTypeMismatch,
    WriteStatus.REFUSED: ua.StatusCodes.BadUserAccessDenied,
}


_DENIED: Final[int] = ua.StatusCodes.BadUserAccessDenied
_NOT_WRITABLE: Final[int] = ua.StatusCodes.BadNotWritable
_NOT_SUPPORTED: Final[int] = ua.StatusCodes.BadWriteNotSupported
_OTHER_TYPE: Final[int] = ua.StatusCodes.BadTypeMismatch


@dataclass(frozen=True)
class SessionUser:
    """Who is behind one session; the library asks for role and name.

    Attributes:
        name: user name, None for an anonymous one.
        operator: may permit and withdraw remote control.
        connection: tells this session from every other one.
    """

    name: str | None
    operator: bool
    connection: str
    role: UserRole = UserRole.User


class Users:
    """Users with their passwords; without any, everybody who can connect may control."""

    def __init__(self, passwords: Mapping[str, str] | None, operator: str) -> None:
        """Know these users; `passwords` is None where the loopback interface protects."""
        self._passwords = passwords
        self._operator = operator
        self._sessions = 0

    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,
    ) -> SessionUser | None:
        """The user of a new session, None when name or password is wrong."""
        del iserver, certificate
        if self._passwords is not None:
            known = self._passwords.get(username or "")
            given = (password or "").encode()
            if known is None or not hmac.compare_digest(known.encode(), given):
                return None
        self._sessions += 1
        return SessionUser(
            name=username,
            operator=username == self._operator,
            connection=f"session {self._sessions}",
        )


class TagWrites(AttributeService):  # type: ignore[misc] # the library is untyped to us
    """Answers every item of a write by itself, as a control unit does.

    Items for tags are judged by the plant; a value with status or timestamp is refused, because no
    client knows those better than the plant. Everything else is left to the library.
    """

    def __init__(
        self,
        space: AddressSpace,
        tags: Mapping[ua.NodeId, Tag],
        write: Callable[[Tag, TagContent, SessionUser], WriteStatus],
        written: Callable[[], Awaitable[None]],
    ) -> None:
        """Pass writes of tags to `write`, and call `written` after a request that changed any."""
        super().__init__(space)
        self._tags = tags
        self._write = write
        self._written = written

    async def write(self, params: ua.WriteParameters, user: object) -> list[ua.StatusCode]:
        """One status for each item, in order."""
        answers: list[ua.StatusCode] = []
        changed = False
        for item in params.NodesToWrite:
            tag = self._tags.get(item.NodeId)
            if tag is None or not isinstance(user, SessionUser):
                other = ua.WriteParameters(NodesToWrite=[item])
                answers += await super().write(other, user)
                continue
            status = self._judged(item, tag, user)
            changed = changed or status in (ua.StatusCodes.Good, ua.StatusCodes.GoodClamped)
            answers.append(ua.StatusCode(status))
        if changed:
            await self._written()
        return answers

    def _judged(self, item: ua.WriteValue, tag: Tag, user: SessionUser) -> int:
        """The status code of one item for a tag."""
        given = item.Value
        if item.AttributeId != ua.AttributeIds.Value or (
            tag.access is Access.OPERATOR and not user.operator
        ):
            return _DENIED
        if tag.access is Access.READ:
            return _NOT_WRITABLE
        stamped = given.SourceTimestamp is not None or given.ServerTimestamp is not None
        status = given.StatusCode
        if item.IndexRange or stamped or (status is not None and status.value != 0):
            return _NOT_SUPPORTED
        content: Any = None if given.Value is None else given.Value.Value
        if (
            given.Value is None
            or given.Value.VariantType != VARIANT_TYPES[tag.data_type]
            or isinstance(content, list)
            or content is None
        ):
            return _OTHER_TYPE
        return _STATUS[self._write(tag, content, user)]


class HonestSubscriptions(SubscriptionService):  # type: ignore[misc] # the same
    """Says so when a message cannot be published again, so that clients stop asking."""

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        """The message asked for; BadMessageNotAvailable or BadSubscriptionIdInvalid otherwise."""
        if params.SubscriptionId not in self.subscriptions:
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)
        message = super().republish(params)
        if not message.NotificationData:
            raise ServiceError(ua.StatusCodes.BadMessageNotAvailable)
        return message
