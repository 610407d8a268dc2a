"""Reads a site folder strictly and turns it into frozen models, or into every problem at once.

Reading order: `scalars` and `yaml` (text to values), `texts` and `shapes` (what a file may say), `draft` (one file),
`inventory`, `hours`, `policies` (with `predicates`, `monitors`, `questions`) and `network` (the files together), `load`
(all of it).
"""

from proxy.site.load import Loaded, load_site
from proxy.site.model import Bind, Change, Limits, Listener, Site, TlsSetting
from proxy.site.problem import Finding, Problem, in_order

__all__ = [
    "Bind",
    "Change",
    "Finding",
    "Limits",
    "Listener",
    "Loaded",
    "Problem",
    "Site",
    "TlsSetting",
    "in_order",
    "load_site",
]
