"""Bounces that are no report by RFC 3464: qmail's, older Exim's and Sendmail's, Domino's, gateways' and web mailers'.

They are believed only from a mail system: a person who quotes one, or passes it on, is not it.
"""

import re

from outreach.mail.inbound import automatic, notices, verdict
from outreach.mail.inbound import bounce_words as words
from outreach.mail.inbound.delivery import Told
from outreach.mail.inbound.fields import Fields
from outreach.mail.inbound.incoming import Kind

_SUBJECT = re.compile(
    r"undeliver|undelivrable|un?deliverable|not (?:be )?delivered|could ?n.t be delivered|returned? (?:mail|"
    r"to sender|message)|mail(?: system)? (?:error|fail)|"
    r"(?:mail )?delivery (?:has )?(?:fail|status|error|problem|report|notification|incomplete|delayed|warning)|"
    r"fail(?:ure|ed)\b.{0,30}(?:notice|deliver|mail|message)|"
    r"non[- ]?(?:delivery|deliverable|remis|distribu|livr)|message (?:status|delayed|not delivered|undeliver)|"
    r"warning: |^(?:ndn|ndr)\b|bounce|"
    r"unzustellbar|nicht zustellbar|zustellung|zurückgewiesen|unzustell|onbestelbaar|niet (?:worden )?(?:bezorgd|"
    r"afgeleverd)|kan niet worden|mislukte|"
    r"ej leverbar|olevererbar|kan(?: ej| inte)? lever|inte levereras|går inte att leverera|leveransfel|ikke lever|"
    r"kan ikke leveres|kunne ikke leveres|"
    r"non (?:recapitabil|consegn)|impossibile (?:recapitare|consegnare)|mancat[ao] (?:recapito|consegna)|"
    r"no (?:se (?:puede|pudo|ha podido) )?entreg|imposible entregar|devuelto|"
    r"não (?:foi )?(?:entregue|pôde)|não é possível entregar|falha n[ao] entrega|devolvid|échec (?:de |d.)|"
    r"n'a pas (?:pu|été)|impossible de (?:remettre|livrer)|remise impossible|"
    r"nie (?:można|dostarczon|została)|niedostarcz|zwrot|nedoručen|nedoručiteln|doručení|kézbesít|teslim|iletilem|"
    r"ei voi(?:tu|da)? toimittaa|toimitus|palautet|"
    r"недостав|не (?:доставлен|удалось|удаётся)|возврат|配信(?:不能|でき|エラー|失敗)|返送|エラー通知|届けられ|"
    r"退信|无法(?:投递|送达)|無法(?:傳遞|"
    r"投遞|送達)|未送达|投递失败|반송|배달(?:되지|할 수)|전송 실패",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]{1,64}@[^\s<>()\[\],;:\"@]{1,255}")
_MOST = 6000


def judge(header: Fields, subject: str, text: str, *, gives_back: bool) -> Told | None:
    """What a mail system's own words say; None where the mail is no such thing. `gives_back`: another mail is in it."""
    failed = header.get("x-failed-recipients")
    daemon = automatic.is_daemon(header)
    if not (failed or daemon or automatic.says_so(header)):
        return None
    said = notices.split(text)[0][:_MOST]
    speaks = notices.SPEAKS.search(said) is not None
    names_it = not automatic.ANSWER_PREFIX.match(subject) and _SUBJECT.search(subject) is not None
    if not (failed or (speaks and (names_it or daemon or gives_back)) or (names_it and daemon)):
        return None
    line = notices.telling_line(said)
    code = verdict.status("", line) or verdict.status("", said)
    kind = _kind(subject, said, line, code, failed=bool(failed))
    return None if kind is None else Told(kind, code, line or said, notices.reporting(said), _names(f"{failed} {text}"))


def _kind(subject: str, said: str, line: str, code: str, *, failed: bool) -> Kind | None:
    whole = verdict.plain(f"{subject} {said}")
    if words.WAITING.search(whole) and not failed and not code.startswith("5"):
        return Kind.DELAY
    if words.DELIVERED.search(whole) and not code.startswith(("4", "5")) and verdict.by_words(line or said) is None:
        return Kind.DELIVERED
    if code and not code.endswith(".0.0"):
        return verdict.of_refusal(code, line or said)
    if line and verdict.by_words(line) is not None:
        return verdict.of_refusal(code, line)
    return verdict.of_refusal(code, f"{line} {said} {subject}")


def _names(text: str) -> tuple[str, ...]:
    """Addresses in it, each once."""
    return tuple(dict.fromkeys(found.lower() for found in _ADDRESS.findall(text[: 3 * _MOST])))[:10]
