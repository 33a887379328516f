"""One SMTP session, from the look-up of the host to the sign-in. Used by `pool`, `transaction` and `check`.

TLS is verified unless the owner gave that up, never given up for clear text, and never mixed with what came before it;
a password is sent once, in the best way both sides know.
"""

import re
import socket
from base64 import b64encode
from ipaddress import ip_address
from time import monotonic

from app.model.outcome import Stage
from app.model.smtp import Account, Security, SMTPConfiguration
from app.smtp.connect import connect
from app.smtp.dialogue import Dialogue
from app.smtp.failure import ClearTextRefused, SessionFailed
from app.smtp.reach import may_reach
from app.smtp.reply import Reply
from app.smtp.resolver import Address, Resolver
from app.smtp.sasl import CRAM_MD5, answer, common_mechanisms, initial_response
from app.smtp.tls import context_for, requires_starttls, wants_implicit_tls
from app.smtp.wire import Wire

READY = 220
SIGNED_IN = 235
DONE = 250
CHALLENGE = 334
OUT_OF_ORDER = 503
SYNTAX_REFUSED = (500, 501)
MECHANISM_REFUSED = (504, 534, 500, 501, 502)
"""RFC 4954 section 6: the way of signing in is refused, not who signs in."""

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


class SMTPSession(Dialogue):
    """A session with one server for one account, lent to one thread at a time.

    Opened by `open`, or step by step in the order of the methods. Each raises SessionFailed.
    """

    def __init__(self, configuration: SMTPConfiguration, account: Account, *, resolver: Resolver, limit: float) -> None:
        super().__init__(timeout_s=configuration.timeout_s, limit=limit)
        self.configuration = configuration
        self.account = account
        self.opened_at = self.last_used_at = self.proved_at = monotonic()
        """`last_used_at`: by a message; `proved_at`: when the server last answered, if only to NOOP."""
        self.messages = 0
        self.is_reused = False
        """Whether it was lent before, so that a failure may only mean that the server had given it up."""
        self.needs_reset = False
        """Whether a mail transaction was begun and not ended: the next one begins with RSET."""
        self._resolver = resolver

    def open(self) -> None:
        """All steps up to a signed-in session; on a failure the connection is closed."""
        try:
            self.connect_to(self.look_up())
            self.secure()
            self.introduce()
            self.sign_in()
        except BaseException:
            self.close()
            raise
        self.in_step = True
        self.opened_at = self.last_used_at = self.proved_at = monotonic()

    def look_up(self) -> tuple[Address, ...]:
        """The addresses of the host that may be connected to. Look-up and connecting share one deadline.

        What was checked here is what `connect_to` gets: a second look-up could be answered with another address.
        """
        configuration = self.configuration
        self.begin(Stage.DNS, configuration.connect_timeout_s)
        try:
            addresses = self._resolver.resolve(configuration.host, configuration.port, self._deadline)
        except OSError as error:
            raise self._failure(error) from error
        allowed = tuple(address for address in addresses if may_reach(str(address.sockaddr[0]), configuration.reach))
        if not allowed:
            raise SessionFailed(Stage.DNS, detail="the host's address is not one that this service may connect to")
        return allowed

    def connect_to(self, addresses: tuple[Address, ...]) -> None:
        """The first address that answers; settles the name that EHLO will say."""
        self.stage = Stage.CONNECT
        try:
            self._connection = wire = Wire(connect(addresses, self._deadline))
            self.local_hostname = self.configuration.local_hostname or _local_name(wire.local_address)
        except OSError as error:
            raise self._failure(error) from error

    def secure(self) -> None:
        """TLS as configured, and the greeting before or after it. Without TLS the greeting and EHLO."""
        if wants_implicit_tls(self.configuration):
            self._shake_hands()
            self._hear_greeting()
            return
        self._hear_greeting()
        self._say_hello()
        if self.configuration.security is Security.NONE:
            return
        if self.has_extn("starttls"):
            self._start_tls()
        elif requires_starttls(self.configuration):
            raise SessionFailed(
                Stage.TLS, detail="the server does not offer STARTTLS, which this configuration requires"
            )

    def introduce(self) -> None:
        """EHLO, unless it was said since the last change of the connection; HELO where EHLO is not known."""
        if self.ehlo_resp is None and self.helo_resp is None:
            self._say_hello()

    def sign_in(self) -> None:
        """AUTH, when the account has a password (RFC 4954)."""
        self.begin(Stage.AUTH)
        if self.account.password is None:
            return
        if not self.is_encrypted and not self._may_sign_in_clearly():
            raise ClearTextRefused(
                Stage.AUTH, detail="the password is not sent: the server offers no TLS and Security is not 'none'"
            )
        allowed = self.configuration.mechanisms
        mechanisms = common_mechanisms(self.announced("auth"), is_encrypted=self.is_encrypted, allowed=allowed)
        if not mechanisms:
            limits = f"; allowed: {' '.join(allowed)}" if allowed else ""
            offered = (self.announced("auth") or "").strip() or "none"
            detail = f"no common way to sign in; announced: {offered}{limits}"
            raise SessionFailed(Stage.AUTH, detail=detail)
        reply: Reply | None = None
        for mechanism in mechanisms:
            is_first = reply is None
            reply = self._authenticate(mechanism)
            # Whoever is signed in already, by a certificate or an address, must not sign in again (RFC 4954 section 4).
            if reply.code == SIGNED_IN or (reply.code == OUT_OF_ORDER and is_first):
                return
            # The same wrong password in three mechanisms is three failures at a server that locks accounts. But one
            # that keeps passwords as digests offers CRAM-MD5 and can never check it.
            if reply.code not in MECHANISM_REFUSED and not (mechanism == CRAM_MD5 and reply.code >= 500):
                break
        raise SessionFailed(Stage.AUTH, reply=reply)

    def prove(self, limit: float) -> None:
        """NOOP (RFC 5321 section 4.1.1.9) until `limit`: the server answers, or the session is of no use any more."""
        self.limit = limit
        try:
            # A 421 that came by itself is not taken for the answer.
            if self.is_alive(thoroughly=True):
                self.begin(Stage.MAIL)
                self.write(b"NOOP\r\n")
                self.in_step = self.read_reply().code == DONE
            else:
                self.close()
        except SessionFailed:
            self.close()
        self.proved_at = monotonic()

    def _hear_greeting(self) -> None:
        self.begin(Stage.GREETING)
        self._demand(self.getreply(), READY)

    def _say_hello(self) -> None:
        """EHLO, and HELO where it is refused for good and nothing of it is needed (RFC 5321 section 3.2)."""
        self.stage = Stage.EHLO
        reply = refusal = self.ehlo()
        needs_starttls = requires_starttls(self.configuration) and not self.is_encrypted
        if refusal[0] >= 500 and not needs_starttls and self.account.password is None:
            reply = self.helo()
        self._demand(reply if reply[0] == DONE else refusal, DONE)

    def _start_tls(self) -> None:
        self.stage = Stage.TLS
        self._demand(self.docmd("STARTTLS"), READY)
        if self.has_unread:
            # Text from before the handshake would be taken for the server's first encrypted words (CVE-2011-0411).
            raise SessionFailed(Stage.TLS, detail="the server sent more than its reply to STARTTLS before TLS began")
        self._shake_hands()
        # RFC 3207 section 4.2: what was announced in clear text is forgotten.
        self.ehlo_resp = self.helo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False

    def _shake_hands(self) -> None:
        self.begin(Stage.TLS)
        wire = self._wire
        try:
            context = context_for(self.configuration)
            wire.start_tls(context, self.configuration.host, self._deadline)
        except (OSError, ValueError) as error:
            raise self._failure(error) from error

    def _authenticate(self, mechanism: str) -> Reply:
        """One AUTH exchange (RFC 4954 section 4); its last reply, whatever it says."""
        first = initial_response(mechanism, self.account)
        reply = self._exchange(mechanism, first)
        if first is not None and reply.code in SYNTAX_REFUSED:
            # Servers that take no argument behind the mechanism ask for it.
            reply = self._exchange(mechanism, None)
        return reply

    def _exchange(self, mechanism: str, initial: bytes | None) -> Reply:
        code, text = self.docmd("AUTH", mechanism if initial is None else f"{mechanism} {_base64(initial)}")
        asked = 0
        while code == CHALLENGE:
            response = answer(mechanism, self.account, text, asked=asked)
            if response is None:
                code, text = self.docmd("*")
                if code == CHALLENGE:
                    raise SessionFailed(Stage.AUTH, detail=f"the server does not let go of AUTH {mechanism}")
                return Reply(MECHANISM_REFUSED[0], text)
            code, text = self.docmd(_base64(response))
            asked += 1
        return Reply(code, text)

    def _may_sign_in_clearly(self) -> bool:
        """Whether the operator asked for clear text, or the text does not leave this machine."""
        if self.configuration.security is Security.NONE:
            return True
        return ip_address(self.peer_address.partition("%")[0]).is_loopback

    def _demand(self, reply: tuple[int, bytes], code: int) -> None:
        if reply[0] != code:
            raise SessionFailed(self.stage, reply=Reply(*reply))


def _base64(response: bytes) -> str:
    return b64encode(response).decode("ascii") or "="


def _local_name(local_address: str) -> str:
    """What EHLO says: this machine's name where it is one, else its address (RFC 5321 section 4.1.3)."""
    name = socket.gethostname()
    if _HOST_NAME.fullmatch(name):
        return name
    return f"[IPv6:{local_address.partition('%')[0]}]" if ":" in local_address else f"[{local_address}]"
