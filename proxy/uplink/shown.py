"""What `/status` says of a publisher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.telemetry.status import PublisherStatus

if TYPE_CHECKING:
    from proxy.site.publishers import Publisher
    from proxy.uplink.figures import Figures, SideFigures


def publisher_status(setting: Publisher, figures: Figures) -> PublisherStatus:
    return PublisherStatus(
        name=setting.name,
        source=setting.source.id,
        to=setting.sink.id,
        speaks_as=setting.speaker.id,
        format=setting.format,
        device=_side(figures.device),
        broker=_side(figures.broker),
        nodes=len(setting.nodes),
        samples=figures.samples,
        published=figures.published,
        waiting=figures.waiting,
        dropped=figures.dropped,
        unpublished=figures.unpublished,
        gaps=figures.gaps,
        refused=dict(figures.refused),
    )


def _side(figures: SideFigures) -> str:
    return f"{figures.state}: {figures.why}" if figures.why else figures.state
