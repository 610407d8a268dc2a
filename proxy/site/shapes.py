"""The shapes of the site's files: which keys there are and what kind of value each takes.

Here a file is judged alone; whether the names in it exist is asked when the site is built. The JSON Schemas are made
from these shapes. Sections of a protocol are opaque: `Shapes` makes room for them for a given registry of protocols.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from proxy.site.policy_shapes import (
    CaseShape,
    CasesShape,
    NeverShape,
    RoleShape,
    RuleShape,
    ShiftShape,
    SurfaceShape,
    TestShape,
    WindowShape,
)
from proxy.site.publisher_shape import PublisherShape  # noqa: TC001 - pydantic looks at it
from proxy.site.shape import Evidence, Shape, key
from proxy.site.texts import (
    Address,
    BindText,
    CommonName,
    Folder,
    HostText,
    Id,
    Mac,
    Place,
    Present,
    Uri,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.protocols.base import ProtocolSpec

RAW = "tcp"
"""The one service without inspector. Devices may list it, so that a way round an inspector is seen."""

Port = Annotated[int, Field(ge=1, le=65535)]
Amount = Annotated[int, Field(ge=1, le=1_000_000)]


class AdminShape(Shape):
    """The listener for operators: /metrics, /healthz, /readyz, /status. It asks nobody who they are."""

    bind: BindText = "127.0.0.1:9464"
    reload: bool = key(default=False, doc="POST /-/reload reads the site again, as SIGHUP does.")


class ChangeShape(Shape):
    """How a change of the files comes into force."""

    require_ack: bool = key(default=True, doc="What widens access waits until somebody acknowledges it.")
    watch: bool = key(default=True, doc="The files are looked at all the time, not only when asked.")


class TlsShape(Shape):
    """TLS towards the clients of a listener. Clients show a certificate of the site's authority."""

    clients: Literal["required"] = "required"
    versions: list[Literal["1.2", "1.3"]] = key(default=["1.3"], min_length=1, doc="1.2 only for clients that need it.")
    certificate: Id = key(default="gateway", doc="certs/NAME.crt and certs/NAME.key.")


class ListenerShape(Shape):
    """A socket in front of one device. Without `tls` its clients speak in the clear."""

    bind: BindText = key("10.3.0.1:802", doc="Address and port to listen on.")
    protocol: Id = key("modbus")
    to: Id = key("plc-3a", doc="The device behind: a name of fingerprints/devices.")
    tls: Annotated[TlsShape | None, Present()] = None
    deny_style: Annotated[Id | None, Present()] = key(default=None, doc="How refusals look, in the protocol's words.")


class LimitsShape(Shape):
    """How many clients at once: in all, still shaking hands, from one address, of one identity."""

    links: Amount = 8192
    handshakes: Amount = 256
    links_per_source: Amount = 1024
    links_per_identity: Amount = 512


_LISTENER_EXAMPLE = {"cell-3": {"bind": "10.3.0.1:802", "protocol": "modbus", "to": "plc-3a"}}

_PUBLISHER_EXAMPLE = {
    "robot-7-line": {"from": "robot-7", "to": "uns", "nodes": {"speed": "nsu=urn:robot:7;s=Line1.Speed"}}
}


class SiteShape(Shape):
    """bulkhead.yaml: the site's name, its listeners and limits."""

    site: Id = key("bottling", doc="The site's name; part of the names in its certificates.")
    state: Folder = key(default="var", doc="Folder for records, relative to the site's folder.")
    admin: AdminShape = AdminShape()
    listeners: dict[Id, ListenerShape] = key(_LISTENER_EXAMPLE)
    publishers: dict[Id, PublisherShape] = key(_PUBLISHER_EXAMPLE, default={}, doc="What is told on the UNS.")
    limits: LimitsShape = LimitsShape()
    policy: ChangeShape = ChangeShape()


class X509Shape(Shape):
    """What the device's certificate says. Without it: the URI spiffe://SITE/device/NAME."""

    uri: Annotated[Uri | None, Present()] = None
    cn: Annotated[CommonName | None, Present()] = None


class MacIpShape(Shape):
    """The addresses on the device's frames, where no router is between."""

    mac: Mac = key("00:0e:8c:aa:bb:01")
    ip: Annotated[Address | None, Present()] = key(default=None, doc="The device's address if left out.")


class IdentityShape(Shape):
    """What proves that a speaker is this device."""

    x509: Annotated[X509Shape | None, Present()] = None
    mac_ip: Annotated[MacIpShape | None, Present()] = None
    opcua_uri: Annotated[Uri | None, Present()] = key(
        "urn:hmi-1:viewer", default=None, doc="The ApplicationUri in the certificate of its OPC UA software."
    )
    unsafe_address_only: bool = key(default=False, doc="The source address alone identifies the device.")
    require: list[Evidence] = key(
        default_factory=list, doc="Evidence without which the device is not believed to be itself."
    )


class ServiceTlsShape(Shape):
    """TLS towards the device, whose certificate is always checked."""

    ca: Id = key(default="site-ca", doc="certs/NAME.crt: the authority that the device's certificate comes from.")
    name: Annotated[HostText | None, Present()] = key(
        "broker.plant.example", default=None, doc="What it must be made out to. The device's address if left out."
    )
    certificate: Annotated[Id | None, Present()] = key(
        default=None, doc="certs/NAME.crt and certs/NAME.key, if the device wants to know who we are."
    )


class ServiceShape(BaseModel):
    """One protocol a device serves."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    port: Port = key(502)
    shared: Annotated[bool | None, Present()] = key(
        default=None, doc="One connection to the device serves all, or with false one for each client."
    )
    tls: Annotated[ServiceTlsShape | None, Present()] = None


class ServicesShape(Shape):
    """Protocol -> service."""


class DeviceShape(Shape):
    """fingerprints/devices/NAME.yaml: one machine, what it serves and how it is known."""

    device: Id = key("plc-3a")
    kind: Id = key("plc", doc="plc, robot, sensor, gateway, server, workstation, broker ...")
    place: Annotated[Place | None, Present()] = key("bottling/hall-1/cell-3", default=None)
    address: Annotated[Address | None, Present()] = key("10.3.0.11", default=None)
    safety: bool = key(default=False, doc="A safety function: never passes through Bulkhead.")
    services: ServicesShape = key(default_factory=ServicesShape)
    identity: IdentityShape = key(default_factory=IdentityShape)


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes with room for the sections of the given protocols."""

    site: type[SiteShape]
    device: type[DeviceShape]
    surface: type[SurfaceShape]
    role: type[RoleShape]
    shift: type[ShiftShape]
    window: type[WindowShape]
    cases: type[CasesShape]

    @classmethod
    def of(cls, protocols: Mapping[str, ProtocolSpec]) -> Shapes:
        return _shapes(tuple(protocols.items()))

    @classmethod
    def made(cls, schemas: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Shapes:
        """From each protocol's `ProtocolSpec.schema`."""
        services: dict[str, Any] = {
            RAW: (_service(_join({"type": "object", "additionalProperties": False}, tls=False)), None)
        }
        services |= {name: (_service(_join(schema["service"])), None) for name, schema in schemas.items()}
        rule = _with_sections(RuleShape, {name: dict(schema["rule"]) for name, schema in schemas.items()})
        never = _with_sections(NeverShape, {name: dict(schema["never"]) for name, schema in schemas.items()})
        question: dict[str, dict[str, Any]] = {name: {"type": "string"} for name in schemas}
        test = _with_sections(TestShape, question)
        case = _with_sections(CaseShape, question)
        device = create_model(
            "DeviceShape",
            __base__=DeviceShape,
            __doc__=DeviceShape.__doc__,
            services=(
                create_model("ServicesShape", __base__=ServicesShape, __doc__=ServicesShape.__doc__, **services),
                DeviceShape.model_fields["services"],
            ),
        )
        surface = create_model(
            "SurfaceShape",
            __base__=SurfaceShape,
            __doc__=SurfaceShape.__doc__,
            rules=(dict[Id, rule], SurfaceShape.model_fields["rules"]),  # type: ignore[valid-type]
            never=(dict[Id, never], SurfaceShape.model_fields["never"]),  # type: ignore[valid-type]
            tests=(list[test], SurfaceShape.model_fields["tests"]),  # type: ignore[valid-type]
        )
        cases = create_model(
            "CasesShape",
            __base__=CasesShape,
            __doc__=CasesShape.__doc__,
            cases=(list[case], CasesShape.model_fields["cases"]),  # type: ignore[valid-type]
        )
        listener = _with_sections(
            ListenerShape, {name: dict(schema["listener"]) for name, schema in schemas.items() if "listener" in schema}
        )
        site = create_model(
            "SiteShape",
            __base__=SiteShape,
            __doc__=SiteShape.__doc__,
            listeners=(dict[Id, listener], SiteShape.model_fields["listeners"]),  # type: ignore[valid-type]
        )
        return cls(site, device, surface, RoleShape, ShiftShape, WindowShape, cases)


@lru_cache(maxsize=8)
def _shapes(protocols: tuple[tuple[str, ProtocolSpec], ...]) -> Shapes:
    """Making the models takes 8 ms, more than reading a small site: a reload has the same protocols."""
    return Shapes.made({name: spec.schema() for name, spec in protocols})


def _with_sections(base: type[Any], schemas: Mapping[str, dict[str, Any]]) -> type[Any]:
    sections: dict[str, Any] = {name: (Annotated[Any, WithJsonSchema(s)], None) for name, s in schemas.items()}
    return create_model(base.__name__, __base__=base, __doc__=base.__doc__, **sections)


def _service(schema: dict[str, Any]) -> Any:
    return Annotated[ServiceShape | None, Present(), WithJsonSchema(schema)]


def _join(service: Mapping[str, Any], *, tls: bool = True) -> dict[str, Any]:
    """The schema of a whole service: the protocol's part, with the keys that every service has."""
    common = ServiceShape.model_json_schema()
    keys = {key: schema for key, schema in common["properties"].items() if key != "tls"}
    if tls:
        keys["tls"] = ServiceTlsShape.model_json_schema()  # in place: what is joined here has no $defs
    return {
        **service,
        "properties": {**keys, **service.get("properties", {})},
        "required": [*common["required"], *service.get("required", [])],
    }
