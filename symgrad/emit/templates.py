"""Jinja2 environment: strict, no autoescape of code, templates from the wheel or the checkout."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from symgrad.emit.template_files import template_root


@cache
def environment() -> Environment:
    """The one environment."""
    return Environment(
        loader=FileSystemLoader(template_root()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(template: str, **values: Any) -> str:
    """Render a template of the ``templates`` folder."""
    return environment().get_template(template).render(**values)
