"""Which lines of a mail its writer did not write: what they quote, the lines above it, and the signature below.

As mail programs on phones and desktops write them, in the languages of the people here and of their neighbours.
"""

import re

from outreach.mail.disguises import Span, merged

_QUOTE = re.compile(r"[ \t\xa0]{0,8}[>|»]")
_FIELD = re.compile(
    r"[\s>*|]{0,12}(?:From|Sent|To|Cc|Bcc|Date|Subject|Reply-To|Sender"
    r"|Von|Gesendet|An|Kopie|Betreff|Antwort an|Datum"
    r"|Från|Skickat|Till|Kopia|Ämne|Svara till"
    r"|Van|Verzonden|Aan|Onderwerp|Beantwoorden aan"
    r"|De|Envoyé|À|Objet|Répondre à|Da|Inviato|A|Oggetto|Enviado(?: el)?|Para|Asunto|Assunto|Data|Fecha"
    r"|Fra|Sendt|Til|Emne|Lähettäjä|Lähetetty|Vastaanottaja|Aihe|Od|Wysłano|Do|Temat|Komu|От|Кому|Тема|发件人|收件人|主题)"
    r"\*?[ \xa0]{0,2}[:：]",
    re.IGNORECASE,
)
_WROTE = re.compile(
    r"\b(?:wrote|writes|schrieb|schreibt|skrev|skriver|schreef|geschreven|a écrit|ha scritto|escribió|escreveu"
    r"|napisał\(?a?\)?|kirjoitti|írta|пишет|написал\(?а?\)?)\b[^\n]{0,200}[:：]\s*$|(?:写道|さんは書きました)[:：]?\s*$",
    re.IGNORECASE,
)
_RULE = re.compile(
    r"[ \t>]{0,8}(?:_{8,}|-{2,}[ \t]*(?:Original|Ursprungl|Ursprüngl"
    r"|Oorspronkelijk|Message d|Messaggio orig|Mensaje orig"
    r"|Mensagem orig|Forwarded|Vidarebefordra|Weitergeleitet"
    r"|Doorgestuurd|Videresendt|Oprindelig|Opprinnelig)[^\n]{0,60}"
    r"|(?:Begin forwarded message|Vidarebefordrat brev"
    r"|Anfang der weitergeleiteten|Begin doorgestuurd bericht)[^\n]{0,40}"
    r")[ \t]*$",
    re.IGNORECASE,
)
_SIGNED = re.compile(
    r"[ \t]{0,4}(?:--[ \t]?|(?:Sent|Skickat|Gesendet|Von meinem"
    r"|Verstuurd|Verzonden|Envoyé|Inviato|Enviado|Sendt|Lähetetty)"
    r"\b[^\n]{0,60}\b(?:iPhone|iPad|Android|Samsung|Galaxy|Outlook|Mail|Gmail|mobil\w*|phone|telefoon|Proton)\b[^\n]{0,60}"
    r"|(?:Get|Hämta|Ladda ned|Outlook|Télécharge[rz]|Obtener|Scarica)\b[^\n]{0,20}\bOutlook\b[^\n]{0,60})[ \t]*$",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[<@(\[]")


def zones(text: str) -> list[Span]:
    """The places of `text` that hold others' words or a signature: an address there is nobody's message."""
    found: list[Span] = []
    lines = _lines(text)
    for at, (start, end) in enumerate(lines):
        line = text[start:end]
        if _QUOTE.match(line) or (_FIELD.match(line) and _NAMED.search(line)):
            found.append((start, end))
        elif _RULE.match(line) or _begins_header(text, lines, at):
            found.append((start, len(text)))
            break
        elif _SIGNED.match(line):
            found.append((start, _signature_end(text, lines, at)))
        elif _WROTE.search(line) or (line.rstrip().endswith((":", "：")) and _is_attribution(text, lines, at)):
            found.append((lines[_above(text, lines, at)][0], end))
    return merged(found)


def _lines(text: str) -> list[Span]:
    return [
        found.span() for found in re.finditer(r"[^\n]*", text) if found.start() == 0 or text[found.start() - 1] == "\n"
    ]


def _begins_header(text: str, lines: list[Span], at: int) -> bool:
    """A block of fields as desktop programs put above what they quote whole: three of four lines."""
    block = [text[start:end] for start, end in lines[at : at + 4]]
    return bool(_FIELD.match(block[0])) and sum(bool(_FIELD.match(line)) for line in block) >= 3


def _above(text: str, lines: list[Span], at: int) -> int:
    """The first line of the sentence that ends here: programs break it after some seventy letters."""
    first = at
    while first > 0 and at - first < 2 and text[slice(*lines[first - 1])].strip():
        first -= 1
    return first


def _is_attribution(text: str, lines: list[Span], at: int) -> bool:
    """Whatever its language: it ends in a colon, names somebody and a time, and a quote follows."""
    sentence = text[lines[_above(text, lines, at)][0] : lines[at][1]]
    after = [text[start:end] for start, end in lines[at + 1 : at + 4] if text[start:end].strip()]
    quotes = bool(after) and _QUOTE.match(after[0]) is not None
    return quotes and "@" in sentence and re.search(r"\d", sentence) is not None


def _signature_end(text: str, lines: list[Span], at: int) -> int:
    for start, end in lines[at + 1 :]:
        if _QUOTE.match(text[start:end]) or _RULE.match(text[start:end]) or _WROTE.search(text[start:end]):
            return start
    return len(text)
