"""The shapes of the site's files: which keys there are and what kind of value each takes.

Here a file is judged alone; whether the names in it exist is asked when the site is built. The JSON Schemas are made
from these shapes. Sections of a protocol are opaque: `Shapes` makes room for them for a given registry of protocols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from proxy.site.texts import (
    Address,
    BindText,
    CommonName,
    DeviceText,
    Folder,
    Id,
    Mac,
    OneOrMore,
    Place,
    Present,
    RateText,
    Speaker,
    Uri,
    Who,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.protocols.base import ProtocolSpec

RAW = "tcp"
"""The one service without inspector. Devices may list it, so that a way round an inspector is seen."""

Port = Annotated[int, Field(ge=1, le=65535)]
Amount = Annotated[int, Field(ge=1, le=1_000_000)]
Evidence = Literal["x509", "mac_ip", "address"]
"""What identity can look at in this version; a kind that nothing gathers could never be met."""


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AdminShape(Shape):
    """The listener for operators: /metrics, /healthz, /readyz, /status."""

    bind: BindText = "127.0.0.1:9464"


class TlsShape(Shape):
    """TLS towards the clients of a listener. Clients show a certificate of the site's authority."""

    clients: Literal["required"] = "required"
    versions: list[Literal["1.2", "1.3"]] = Field(default=["1.3"], min_length=1)
    certificate: Id = "gateway"


class ListenerShape(Shape):
    """A socket in front of one device. Without ``tls`` its clients speak in the clear."""

    bind: BindText = Field(examples=['"10.3.0.1:802"'])
    protocol: Id = Field(examples=["modbus"])
    to: Id = Field(examples=["plc-3a"])
    tls: Annotated[TlsShape | None, Present()] = None
    deny_style: Annotated[Id | None, Present()] = None


class LimitsShape(Shape):
    """How many clients at once: in all, still shaking hands, from one address, of one identity."""

    links: Amount = 8192
    handshakes: Amount = 256
    links_per_source: Amount = 1024
    links_per_identity: Amount = 512


class SiteShape(Shape):
    """bulkhead.yaml: the site's name, its listeners and limits."""

    site: Id = Field(examples=["bottling"])
    state: Folder = "var"
    admin: AdminShape = AdminShape()
    listeners: dict[Id, ListenerShape] = Field(examples=["{ NAME: { bind: ..., protocol: ..., to: ... } }"])
    limits: LimitsShape = LimitsShape()


class X509Shape(Shape):
    """What the device's certificate says: a SAN URI or, for certificates without one, the common name."""

    uri: Annotated[Uri | None, Present()] = None
    cn: Annotated[CommonName | None, Present()] = None


class MacIpShape(Shape):
    mac: Mac = Field(examples=["00:0e:8c:aa:bb:01"])
    ip: Annotated[Address | None, Present()] = None


class IdentityShape(Shape):
    """What proves that a speaker is this device."""

    x509: Annotated[X509Shape | None, Present()] = None
    mac_ip: Annotated[MacIpShape | None, Present()] = None
    unsafe_address_only: bool = False
    require: list[Evidence] = []


class ServiceShape(BaseModel):
    """One protocol a device serves. All other keys belong to the protocol."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    port: Port = Field(examples=["502"])
    shared: bool = True


class ServicesShape(Shape):
    """Protocol -> service; the protocols are added by `Shapes`."""


class DeviceShape(Shape):
    """fingerprints/devices/NAME.yaml: one machine, what it serves and how it is known."""

    device: Id = Field(examples=["plc-3a"])
    kind: Id = Field(examples=["plc"])
    place: Annotated[Place | None, Present()] = None
    address: Annotated[Address | None, Present()] = None
    safety: bool = False
    services: ServicesShape = ServicesShape()
    identity: IdentityShape = IdentityShape()


class RoleShape(Shape):
    """policies/roles/NAME.yaml: a name for several speakers."""

    role: Id = Field(examples=["masters"])
    members: Annotated[list[DeviceText], OneOrMore()] = Field(examples=["[scada]"])


class RuleShape(Shape):
    """Who may do what to which member. The section of a protocol says what."""

    from_: Annotated[list[Speaker], OneOrMore()] = Field(alias="from", examples=["scada"])
    to: Annotated[list[DeviceText], OneOrMore()] = Field(examples=["plc-3a"])
    needs: list[Evidence] = []
    rate: Annotated[RateText | None, Present()] = None


class NeverShape(Shape):
    """What nobody may do (or, with ``from``, not these), whatever else allows it."""

    from_: Annotated[list[Speaker] | None, Present(), OneOrMore()] = Field(default=None, alias="from")
    to: Annotated[list[DeviceText], OneOrMore()] = Field(examples=['"plc-*"'])


class TestShape(Shape):
    """One question to the policy and the answer it must give."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    who: Who = Field(examples=["scada"])
    to: Id = Field(examples=["plc-3a"])
    expect: Literal["allow", "refuse"] = Field(examples=["allow"])
    because: Annotated[Id | None, Present()] = None


class SurfaceShape(Shape):
    """policies/surfaces/NAME.yaml: a small zone, and all that may cross its edge."""

    surface: Id = Field(examples=["cell-3"])
    members: Annotated[list[DeviceText], OneOrMore()] = Field(examples=["[plc-3a]"])
    mode: Literal["enforce"] = "enforce"
    audit: Literal["before", "after"] = "after"
    unsafe_writes_without_proof: bool = False
    safety: bool = False
    rules: dict[Id, RuleShape] = Field(examples=["{}"])
    never: dict[Id, NeverShape] = {}
    tests: list[TestShape] = []


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes with room for the sections of the given protocols."""

    site: type[SiteShape]
    device: type[DeviceShape]
    surface: type[SurfaceShape]
    role: type[RoleShape]

    @classmethod
    def of(cls, protocols: Mapping[str, ProtocolSpec]) -> Shapes:
        schemas = {name: spec.schema() for name, spec in protocols.items()}
        services: dict[str, Any] = {RAW: (_service(ServiceShape.model_json_schema()), None)}
        services |= {name: (_service(_join(schema["service"])), None) for name, schema in schemas.items()}
        rule = _with_sections(RuleShape, {name: dict(schema["rule"]) for name, schema in schemas.items()})
        never = _with_sections(NeverShape, {name: dict(schema["never"]) for name, schema in schemas.items()})
        test = _with_sections(TestShape, {name: {"type": "string"} for name in schemas})
        device = create_model(
            "DeviceShape",
            __base__=DeviceShape,
            services=(create_model("ServicesShape", __base__=ServicesShape, **services), ServicesShape()),
        )
        rules = SurfaceShape.model_fields
        surface = create_model(
            "SurfaceShape",
            __base__=SurfaceShape,
            rules=(dict[Id, rule], rules["rules"]),  # type: ignore[valid-type]
            never=(dict[Id, never], {}),  # type: ignore[valid-type]
            tests=(list[test], []),  # type: ignore[valid-type]
        )
        return cls(SiteShape, device, surface, RoleShape)


def _with_sections(base: type[Any], schemas: Mapping[str, dict[str, Any]]) -> type[Any]:
    sections: dict[str, Any] = {name: (Annotated[Any, WithJsonSchema(s)], None) for name, s in schemas.items()}
    return create_model(base.__name__, __base__=base, **sections)


def _service(schema: dict[str, Any]) -> Any:
    return Annotated[ServiceShape | None, Present(), WithJsonSchema(schema)]


def _join(service: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a whole service: the protocol's part, with the keys that every service has."""
    common = ServiceShape.model_json_schema()
    return {
        **service,
        "properties": {**common["properties"], **service.get("properties", {})},
        "required": [*common["required"], *service.get("required", [])],
    }
