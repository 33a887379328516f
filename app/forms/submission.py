"""What a visitor sent, and what it is answered with. Made by `intake`, used everywhere in this room."""

from dataclasses import dataclass, field

from app.forms.page_proofs import PageProof
from app.model.attachment import Attachment


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The fields in the order of the form, a name as often as it was sent; and the files that were chosen."""

    fields: tuple[tuple[str, str], ...]
    files: tuple[Attachment, ...] = ()

    def first(self, *names: str) -> str:
        """The first value that is not blank of the fields of these names, compared without case; else empty."""
        wanted = {name.casefold() for name in names}
        return next((value for name, value in self.fields if name.casefold() in wanted and value.strip()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """What is known of the browser. `origin` and `page` are None where it did not say."""

    client: str
    """Its address, as the guards count it."""
    origin: str | None
    page: str | None
    """The address of the page with the form, from Referer; often only its origin."""
    own_origin: str
    """Under which the browser reaches this service: its own pages post, too."""
    page_proof: PageProof | None = None
    """What shows that the page was ours, where its origin does not."""
    user_agent: str = ""
    """What the browser calls itself; with the address it tells one visitor from another."""
    language: str = "en"
    """One of those that the pages speak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the visitor is told: the reference of what was received, and where to go if that was asked for."""

    reference: str
    redirect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """The fields by what they mean. `custom_fields` has all the others, with repeated names in one line each."""

    email: str = ""
    username: str = ""
    message: str = ""
    subject: str = ""
    reply_to: tuple[str, ...] = ()
    custom_fields: dict[str, str] = field(default_factory=dict)
