"""The closed list of reasons. A code is never reused or renumbered; `docs/reasons.md` explains each.

Families: 10xx identity, 11xx connection and protocol, 12xx operation, 13xx grant and session,
14xx conditions, 15xx requests and votes, 16xx system, 17xx why a grant or a link ended, 18xx configuration.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Why something was refused or ended. ``value`` is ``(code, one sentence)``."""

    UNKNOWN_DEVICE = (1001, "the speaker is not in the inventory")
    EVIDENCE_TOO_WEAK = (1002, "the evidence about the speaker is too weak for this")
    DIFFERS_FROM_PIN = (1003, "the speaker differs from what the operator bound")
    CERTIFICATE_ENDED = (1004, "the certificate is expired, not yet valid or revoked")
    TLS_RESUMED = (1005, "a resumed TLS session is refused")
    QUARANTINED = (1006, "the device is quarantined")
    TLS_FAILED = (1007, "the TLS handshake failed")
    CHANNEL_REFUSED = (1008, "the secure channel or session does not prove who speaks")

    NO_CONNECT_RULE = (1101, "no rule lets this speaker reach this device")
    MALFORMED = (1102, "malformed input; the link ends")
    UNKNOWN_FUNCTION = (1103, "the function is not in the allow-list of known functions")
    CONNECTION_LIMIT = (1104, "too many connections")
    TOO_SLOW = (1105, "a phase of the connection took too long")
    UPSTREAM_UNREACHABLE = (1106, "the device behind the gateway cannot be reached")
    UPSTREAM_SILENT = (1107, "the device behind the gateway did not answer in time")
    UPSTREAM_INVALID = (1108, "the device behind the gateway gave an answer that does not fit the question")
    UPSTREAM_REFUSED = (1109, "the device behind the gateway refused the session")

    DEFAULT_DENY = (1201, "no rule allows this")
    NEVER_RULE = (1202, "a never rule forbids this")
    OUTSIDE_GRANT = (1203, "the target is outside the grant")
    OUTSIDE_PROFILE = (1204, "the operation is outside the profile")
    VALUE_OUTSIDE = (1205, "a value is outside the allowed window")
    RATE_SPENT = (1206, "the rate or budget is spent")
    PART_REFUSED = (1207, "a part of a compound request is refused, so all of it is")
    BROADCAST = (1208, "broadcast is refused unless a rule names it")
    PAYLOAD = (1209, "the payload is not what it says it is")

    NO_GRANT = (1301, "no grant")
    WINDOW_NOT_OPEN = (1302, "the window of the grant is not open")
    NOT_STARTED = (1303, "the grant was not started in time")
    GRANT_ENDED = (1304, "the grant has ended")
    WRITES_PAUSED = (1305, "writes are paused")
    HELD = (1306, "the write is held for a second person")
    RELEASE_MISMATCH = (1307, "the release does not match the write")
    SESSION_LIMIT = (1308, "too many sessions or holds")
    LOCKED = (1309, "locked")

    OUTSIDE_HOURS = (1401, "outside the allowed hours")
    PRESENCE = (1402, "nobody confirms presence at the machine")
    PROCESS_STATE = (1403, "the process state forbids it")
    PROCESS_UNKNOWN = (1404, "the process state is unknown")

    MAY_NOT_REQUEST = (1501, "this person may not request this")
    TOO_LONG = (1502, "the duration is too long")
    OWN_REQUEST = (1503, "nobody approves an own request")
    APPROVER_OFF_DUTY = (1504, "the approver is off duty")
    REQUEST_CHANGED = (1505, "the request changed after the vote")
    NOT_ELIGIBLE = (1506, "not eligible")
    BAD_WINDOW = (1507, "the duration or window is not valid")

    AUDIT_NOT_WRITABLE = (1601, "the audit log cannot be written")
    CLOCK = (1602, "the clock is not trusted")
    POLICY_TOO_OLD = (1603, "the policy is too old")
    NO_LEASE = (1604, "the lease was not renewed")
    OVERLOAD = (1605, "overload; try again")
    ENGINE_ERROR = (1606, "the decision failed; that is a bug in Bulkhead")
    INSPECTOR_ERROR = (1607, "the inspector failed; that is a bug in Bulkhead")
    DRAINING = (1608, "the gateway is shutting down")

    POLICY_CHANGED = (1711, "the policy changed")
    IDENTITY_CHANGED = (1713, "the evidence about the speaker changed")
    IDLE = (1715, "idle for too long")
    DEVICE_GONE = (1720, "the device was removed from the inventory")

    @property
    def code(self) -> str:
        """``BH-1201``: what logs, answers and documentation print."""
        return f"BH-{self.value[0]}"

    @property
    def sentence(self) -> str:
        return self.value[1]
