"""Second opinions on our mail, of another language's libraries: MIME::Parser reads it, Mail::DKIM verifies it.

Each runs once and is asked many times: a length in a line and so many octets go in, a line of JSON comes back. From
Debian's libmime-tools-perl and libmail-dkim-perl.
"""

import json
import subprocess
from types import TracebackType
from typing import Any, Self

_LOOP = r"""
use strict; use warnings; use JSON::PP; use MIME::Base64;
binmode STDIN; binmode STDOUT; $| = 1;
my $json = JSON::PP->new->canonical->ascii;
while (defined(my $size = <STDIN>)) {
  read(STDIN, my $octets, $size) == $size or die "cut short";
  print $json->encode(answer($octets)), "\n";
}
"""

PARSE = (
    r"""
use MIME::Parser;
sub part {
  my ($entity) = @_;
  my $head = $entity->head;
  $head->unfold;
  my @fields = map { /^([^:\s]+):\s*(.*?)\s*\z/s ? [$1, encode_base64($2, "")] : () } @{ $head->header };
  my $body = $entity->bodyhandle;
  return { fields => \@fields, type => $entity->effective_type, charset => $head->mime_attr("content-type.charset"),
    encoding => $head->mime_encoding, body => $body && encode_base64($body->as_string, ""),
    parts => [map { part($_) } $entity->parts] };
}
sub answer {
  my $parser = MIME::Parser->new;
  $parser->output_to_core(1); $parser->tmp_to_core(1); $parser->decode_headers(0);
  my $read = part($parser->parse_data($_[0]));
  $read->{problems} = [$parser->results->errors, $parser->results->warnings];
  return $read;
}
"""
    + _LOOP
)

VERIFY = (
    r"""
use Mail::DKIM::Verifier; use Net::DNS;
my %records = %{ JSON::PP->new->decode($ARGV[0]) };
{ no warnings "redefine"; *Mail::DKIM::DNS::query = sub {
    my $record = $records{ lc $_[0] } or return;
    return Net::DNS::RR->new(name => $_[0], type => "TXT", txtdata => [unpack "(A255)*", $record]);
} }
sub answer {
  my $verifier = Mail::DKIM::Verifier->new;
  $verifier->PRINT($_[0]); $verifier->CLOSE;
  return { map { ($_->selector => $_->result_detail) } $verifier->signatures };
}
"""
    + _LOOP
)


class Perl:
    """A running script of the above. `with Perl(PARSE) as parser: parser.ask(octets)`."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            ["perl", "-MJSON::PP", "-e", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()

    def ask(self, octets: bytes) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d\n%b" % (len(octets), octets))
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
