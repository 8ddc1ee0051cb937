"""The texts that the package ships, and the one environment in which templates run.

Rules held here: templates come from the package, never from a registry folder; they run in Jinja2's immutable
sandbox with autoescape, where "escape" means what the file's format needs (Markdown: no value can begin a
heading, a table, a list, a link or HTML; text: no control characters); a value that the template needs and
that is not given is an error. What goes into a template is left to the facade.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core.errors import ToolMissing

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

# Characters that mean something to Markdown anywhere in a line.
_INLINE = re.compile(r"[\\`*\[\]<>|~$]|(?<![^\W_])_|_(?![^\W_])")
# Beginnings of a line that would make it a heading, a rule or a quotation.
_BLOCK = re.compile(r"(?m)^[ \t]*(?=[#=>:]|[-+][-+ \t]*$)")
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LIST_ITEM = re.compile(r"^(\s{0,3})([-+]|\d{1,9}[.)])(?=\s|$)")


def read_template(name: str) -> str:
    """Return the text of template ``name`` (``README.txt.j2``, …).

    An installed package holds the templates beside its modules, a checkout in the top-level ``templates/``;
    ``importlib.resources`` alone does not see the latter. Raises :class:`ToolMissing` when neither has the
    file.
    """
    return _read(name, Path("templates") / name)


def policy_text() -> str:
    """Return archive_policy.md, the policy that the tool's refusals cite by clause (``RP-n``)."""
    return _read("archive_policy.md", Path("archive_policy.md"))


def render(name: str, **values: Any) -> str:
    """Fill template ``name`` with ``values``, escaped for the format in the name (``.md.j2``, ``.txt.j2``).

    Raises :class:`ToolMissing` when the template is not there or asks for a value that was not given.
    """
    from jinja2 import TemplateError

    environment = _environment("markdown" if name.endswith(".md.j2") else "text")
    try:
        return environment.from_string(read_template(name)).render(**values)
    except TemplateError as error:
        raise ToolMissing(
            f"the template {name} cannot be filled: {error}",
            hint="install manual-registry again",
            location=name,
        ) from error


def _read(name: str, in_checkout: Path) -> str:
    if not _NAME.fullmatch(name):
        raise ToolMissing(f"{name!r} is no template of this package", location=name)
    shipped = resources.files("manual_registry") / "templates" / name
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    checkout = Path(__file__).resolve().parents[2] / in_checkout
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    raise ToolMissing(
        f"{name} is missing from this installation",
        hint="install manual-registry again",
        location=str(in_checkout),
    )


@cache
def _environment(kind: str) -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        autoescape=True,
        finalize=_finalizer(markdown_line if kind == "markdown" else text_line),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _marked(code_span)
    environment.filters["prose"] = _marked(markdown_prose)
    environment.filters["number"] = number
    return environment


def _finalizer(escape: Callable[[str], str]) -> Callable[[Any], Any]:
    """Escape every value that a template prints; what a filter of ours has escaped stays as it is."""
    from jinja2 import Undefined
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        if isinstance(value, Markup | Undefined):
            return value
        return Markup(escape(str(value)))  # noqa: S704 - escape() is the escaping

    return finalize


def _marked(escape: Callable[[str], str]) -> Callable[[Any], Any]:
    from markupsafe import Markup

    return lambda value: Markup(escape(str(value)))  # noqa: S704 - escape() is the escaping


def text_line(text: str) -> str:
    """Return ``text`` as one line without control characters, for plain-text files."""
    return " ".join(_printable(text).split())


def markdown_line(text: str) -> str:
    """Return ``text`` as one line that Markdown shows as it is, in a paragraph or in a cell of a table."""
    line = _escape_inline(text_line(text))
    # It may stand at the beginning of a line: no heading and no item of a list either.
    return re.sub(r"^([#=>:+-])", r"\\\1", re.sub(r"^(\d{1,9})([.)])(?=\s|$)", r"\1\\\2", line))


def markdown_prose(text: str) -> str:
    """Return people's text: paragraphs and lists stay; headings, tables, links and HTML do not."""
    lines = [_prose_line(line) for line in _printable(text).strip().split("\n")]
    return "\n".join(lines)


def code_span(text: str) -> str:
    """Return ``text`` as a Markdown code span, whatever backticks it holds; safe in a cell of a table."""
    line = text_line(text).replace("|", "¦") or " "
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest else ""
    return f"{fence}{padding}{line}{padding}{fence}"


def number(value: Any) -> str:
    """Return a number as people read it: at most six significant digits; other values as text."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _prose_line(line: str) -> str:
    line = line.expandtabs(4)
    indent = " " * min(3, len(line) - len(line.lstrip(" ")))  # four would make it a block of code
    body = line.strip(" ")
    item = _LIST_ITEM.match(body)
    if item and body[item.end() :].strip(" -+=_*"):
        return f"{indent}{body[: item.end()]} {markdown_line(body[item.end() :])}"
    return indent + _block_start(_escape_inline(body))


def _block_start(line: str) -> str:
    match = _BLOCK.match(line)
    return f"{line[: match.end()]}\\{line[match.end() :]}" if match else line


def _escape_inline(text: str) -> str:
    escaped = _INLINE.sub(r"\\\g<0>", text).replace("&", "&amp;")
    # Bare addresses would become links in most renderers.
    return re.sub(r"(?i)\b(https?|ftp|www)(:|\.)", lambda found: f"{found[1]}&#{ord(found[2])};", escaped)


def _printable(text: str) -> str:
    kept = (char for char in text.replace("\r\n", "\n") if char in "\n\t" or not _is_control(char))
    return "".join(kept)


def _is_control(char: str) -> bool:
    """Control characters, lone surrogates, and marks that turn the direction of what follows."""
    return unicodedata.category(char) in ("Cc", "Cs") or char in _TURNING
