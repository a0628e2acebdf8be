# SPDX-License-Identifier: MIT
"""DnsLookup keeps contracts.dhcp.NameLookup: asks one given server, never this machine's resolver."""

from __future__ import annotations

from ipaddress import IPv4Address

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

from labvirt.errors import DnsError, InvalidInput

SECONDS = 2.0
TRIES = 2


class DnsLookup:
    """Stateless. `port` is another than 53 only where tests need it."""

    def __init__(self, port: int = 53) -> None:
        self._port = port

    def resolve(self, name: str, server: IPv4Address) -> tuple[IPv4Address, ...]:
        try:
            question = dns.message.make_query(dns.name.from_text(name), dns.rdatatype.A)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise InvalidInput("name", "is not a DNS name") from error
        answer = self._ask(question, name, server)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise DnsError(
                f"The DNS server {server} does not say who {name} is: {dns.rcode.to_text(answer.rcode())}.",
                operation="resolve",
                subject=name,
                hint="Is that name of this lab? labvirt lab show",
            )
        found = {IPv4Address(record.address) for records in answer.answer if records.rdtype == dns.rdatatype.A for record in records}
        return tuple(sorted(found))

    def _ask(self, question: dns.message.Message, name: str, server: IPv4Address) -> dns.message.Message:
        for attempt in range(TRIES):
            try:
                answer, _ = dns.query.udp_with_fallback(question, str(server), timeout=SECONDS, port=self._port)
                return answer
            except (dns.exception.DNSException, OSError) as error:
                if attempt + 1 == TRIES or not isinstance(error, dns.exception.Timeout):
                    raise DnsError(
                        f"The DNS server {server} does not answer a question for {name}.",
                        operation="resolve",
                        subject=name,
                        hint="Is the lab's server running? labvirt verify",
                    ) from error
        raise AssertionError("the last attempt returned or raised")
