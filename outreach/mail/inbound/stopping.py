"""Whether somebody wrote no more than that they want no more mail, in the words of many languages (RFC 2369 §3.2)."""

import re

_WORDS = re.compile(
    r"(?:please |pls |kindly )?(?:unsubscribe|unsub|stop(?: it| now| this)?|stop (?:sending|mailing|"
    r"e-?mailing)(?: me| us)?|remove(?: me| us)?|opt[- ]?out|"
    r"take me off|no more(?: e-?mails?| mails?)?|cancel)(?: me| us)?(?: (?:from|of))?(?: (?:this|the|your|all|"
    r"these|any))?(?: (?:mailing ?)?(?:list|lists|mails?|e-?mails?|newsletters?|everything))?|"
    r"(?:snälla )?(?:avregistrera|avprenumerera|avsluta|ta bort|sluta|stoppa?|avanmäl)(?: mig)?(?: (?:från|"
    r"prenumerationen|prenumeration|listan|utskick|nyhetsbrevet|skicka|mejla|maila|denna))*|"
    r"(?:gelieve )?(?:uitschrijven|afmelden|afmelding|schrijf (?:mij|me) uit|meld (?:mij|me) af|uitschrijving|"
    r"stoppen)(?: (?:a ?u ?b|svp|alstublieft|voor|van|deze|de|nieuwsbrief|lijst|mij|me))*|"
    r"(?:bitte )?(?:abmelden|abmeldung|abbestellen|austragen|streichen|stopp|keine mails? mehr)(?: bitte)?|"
    r"(?:merci de )?(?:me )?(?:désinscri(?:re|ption|vez[- ]moi)|désabonne(?:r|ment|z[- ]moi)|desabonnement|"
    r"desinscription|se désabonner|arrêtez?)(?: svp)?|"
    r"(?:por favor )?(?:dar(?:se|me)? de baja|baja|cancelar(?: (?:la |mi )?suscripción)?|no más correos|"
    r"descadastrar|cancelar(?: a)? (?:inscrição|assinatura)|remover|cancelar)|"
    r"(?:cancella(?:mi|zione|temi)|disiscri(?:vimi|zione)|disiscrivetemi|annulla iscrizione|basta)|"
    r"(?:afmeld|avmeld|frameld|afmelding|meld meg av|fjern meg|fjern mig)(?: (?:meg|mig))?|(?:peruuta(?: tilaus)?|"
    r"lopeta|poista minut)|"
    r"(?:wypisz(?: mnie)?|rezygnuję|anuluj subskrypcję)|(?:odhlásit|leiratkozás|отписаться|отпишите меня|отписка|"
    r"退订|退訂|配信停止|解除|수신\s?거부|abonelikten çık)",
    re.IGNORECASE,
)
_AROUND = re.compile(r"[\s.!,;:*_'\"«»“”()\[\]-]+")
_KINDLY = re.compile(
    r"(?: (?:thanks?|thank you|thx|please|tack|tack på förhand|mvh|bedankt|dank(?: u| je)?|danke|merci|gracias|"
    r"grazie|obrigad[oa]|takk|tak|kiitos))+$",
    re.IGNORECASE,
)
_LONGEST = 120


def asks_to_stop(subject: str, text: str) -> bool:
    """`subject` without "Re:", `text` without quotes. Only words that can mean nothing else count."""
    said = _bare(text)
    return _means_stop(said) if said else _means_stop(_bare(subject))


def _bare(text: str) -> str:
    return _AROUND.sub(" ", text[: 4 * _LONGEST]).strip()


def _means_stop(said: str) -> bool:
    return len(said) <= _LONGEST and _WORDS.fullmatch(_KINDLY.sub("", said)) is not None
