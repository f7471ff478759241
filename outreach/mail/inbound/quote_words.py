"""How mail programs introduce what they quote and what they add below: their words in the languages they speak.

Taken from what the programs named beside them write: Gmail, Apple Mail and iOS, Outlook (desktop, web, phones),
Thunderbird, Yahoo, Samsung, K-9, GMX and WEB.DE, Mail.ru, QQ, NAVER.
"""

import re

_WROTE = (
    r"wrote|writes|skrev|skrifaði|schreef|schrieb|schreibt|geschrieben|a\s+écrit|a\s+ecrit|escribió|escribio|"
    r"va\s+escriure|"
    r"ha\s+scritto|scrive|escreveu|a\s+scris|napisał\(?a?\)?|napisała|pisze|napsal\(?a?\)?|napísal\(?a?\)?|kirjoitti|"
    r"ezt\s+írta|írta|yazdı|şunu\s+yazdı|έγραψε|написал\(?а?\)?|написала|пишет|пише|написав|کتب|كتب|כתב/ה|כתב|"
    r"写道|寫道|님이\s*작성|のメール|さんは書きました|書きました|đã\s+viết|menulis|เขียน"
)
ATTRIBUTION = re.compile(rf".{{0,300}}(?:{_WROTE})(?!\w).{{0,200}}[:：]\s*", re.IGNORECASE | re.DOTALL)
"""A line, or a few joined, that says who wrote what follows."""

DATED_SENDER = re.compile(r".{0,80}\d{1,4}.{0,120}<[^<>\s]{1,250}>\s*[:：]\s*", re.DOTALL)
"""Gmail in Japanese, Korean and others: a date, a name, an address, a colon."""

SURE = re.compile(
    r"(?:on|den|på|op|am|le|el|il|em|w\s+dniu|dne|dnia|in\s+data|dňa|за|в|於|于|在|pada|vào|el\s+dia|fra|"
    r"(?:pe|ke|la|ti|mon|tue|wed|thu|fri|sat|sun|lun|mar|mer|jeu|ven|sam|dim|ma|di|wo|do|vr|za|zo|pn|wt|śr|czw|pt|sob|ndz|пн|"
    r"вт|ср|чт|пт|сб|вс)"
    r"[a-zа-я]{0,8})\b.{0,24}\d.*|\d.{4,}",
    re.IGNORECASE | re.DOTALL,
)
"""How an attribution begins that is believed although no ">" follows it, if it is `DATED` too."""

DATED = re.compile(r"\b(?:19|20)\d\d(?!\d)|\b\d{1,2}[:.h]\d\d(?!\d)|\b\d{1,2}[./-]\d{1,2}[./-]\d\d")

DIVIDER = re.compile(
    r"\s*(?:-{2,}\s?on\s.{5,150}\swrote\s?-{2,}|-{2,}\s?(?:original\s+message|original\s+appointment|"
    r"forwarded\s+message|reply\s+message|"
    r"ursprungligt\s+meddelande|originalmeddelande|ursprungligt\s+mail|vidarebefordrat\s+(?:meddelande|brev)|"
    r"oorspronkelijk(?:e)?\s+bericht|doorgestuurd\s+bericht|forwarded\s+bericht|"
    r"urspr(?:ü|ue)ngliche\s+(?:nachricht|mail)|original\s*nachricht|weitergeleitete\s+nachricht|"
    r"message\s+d['’]origine|message\s+original|message\s+transf[ée]r[ée]|mensaje\s+original|mensaje\s+reenviado|"
    r"messaggio\s+originale|messaggio\s+inoltrato|mensagem\s+original|mensagem\s+encaminhada|"
    r"oprindelig\s+(?:meddelelse|besked)|opprinnelig\s+melding|videresendt\s+\w{3,12}|"
    r"alkuperäinen\s+viesti|wiadomość\s+oryginalna|oryginalna\s+wiadomość|původní\s+(?:zpráva|e-mail)|"
    r"pôvodná\s+správa|"
    r"eredeti\s+üzenet|orijinal\s+(?:mesaj|ileti)|исходное\s+сообщение|пересылаемое\s+сообщение|"
    r"元のメッセージ|原始邮件|原始郵件|原始信件|원본\s*메[일세시]지?)\s?-{2,}.*|"
    r"begin\s+forwarded\s+message:|début\s+du\s+message\s+(?:transféré|réexpédié)\s*:|vidarebefordrat\s+brev:|"
    r"anfang\s+der\s+weitergeleiteten\s+nachricht:|begin\s+doorgestuurd\s+bericht:|"
    r"inicio\s+del\s+mensaje\s+reenviado:|"
    r"inizio\s+messaggio\s+inoltrato:)\s*",
    re.IGNORECASE,
)
"""A line below which all is quoted, whatever follows."""

FROM = re.compile(
    r"[\s*>]{0,12}(?:from|från|van|von|de|da|fra|lähettäjä|od|от|від|από|feladó|kimden|gönderen|gesendet\s+von|"
    r"expéditeur|remitente|mittente|remetente|afzender|avsändare|avsender|afsender|差出人|送信者|发件人|寄件者|"
    r"寄件人|보낸\s*사람)"
    r"\s?\*?\s?[:：]\*?\s*\S.*",
    re.IGNORECASE,
)
OTHER_FIELD = re.compile(
    r"[\s*>]{0,12}(?:sent|date|to|subject|cc|sujet|copie(?:\s+à)?|message\s+du|skickat|skickades|datum|till|ämne|"
    r"kopia|verzonden|aan|onderwerp|"
    r"gesendet|an|"
    r"betreff|envoyé|à|objet|enviado(?:\s+el)?|fecha|para|asunto|inviato|data|a|oggetto|enviada(?:\s+em)?|assunto|"
    r"sendt|til|"
    r"emne|dato|lähetetty|vastaanottaja|päivämäärä|aihe|wysłano|wysłane|do|temat|odesláno|komu|předmět|odoslané|"
    r"predmet|"
    r"elküldve|címzett|tárgy|gönderildi|tarih|kime|konu|отправлено|дата|кому|тема|надіслано|στάλθηκε|προς|θέμα|"
    r"送信日時|日時|宛先|件名|发送时间|发送日期|日期|收件人|主题|寄件日期|傳送日期|收件者|主旨|보낸\s*날짜|날짜|"
    r"받는\s*사람|제목|date\s+d['’]envoi)"
    r"\s?\*?\s?[:：].*",
    re.IGNORECASE,
)

_SENT = (
    r"sent\s+(?:from|via|with|by|using)|(?:skickat|skickades)\s+(?:från|via|med)|"
    r"(?:verstuurd|verzonden)\s+(?:vanaf|vanuit|via|met|van)|(?:diese\s+nachricht\s+wurde\s+)?gesendet\s+(?:von|"
    r"mit|über|via)|"
    r"diese\s+nachricht\s+wurde\s+von|envoyé\s+(?:de|depuis|à\s+partir|avec|via)|envia(?:do|da|t)\s+(?:desde|des|"
    r"de|do|da|a\s+partir|com|via)|"
    r"inviato\s+(?:da|dal|con|tramite)|sendt\s+(?:fra|via|med)|lähetetty|wysłan[eo]\s+(?:z|za)|(?:odesláno|"
    r"odoslané)\s+(?:z|pomocí|pomocou)|"
    r"elküldve|trimis\s+de|(?:отправлено|надіслано)\s+(?:с|из|от|з|із|мобильн)|στάλθηκε\s+από|från\s+min|"
    r"von\s+meinem|"
    r"mit\s+meinem|vanaf\s+mijn|depuis\s+mon|desde\s+mi|dal\s+mio|do\s+meu|z\s+mojego|z\s+(?:mého|môjho)"
)
_DEVICES = (
    r"iphone|ipad|ios|android|samsung|galaxy|huawei|xiaomi|redmi|oneplus|pixel|nokia|sony|xperia|motorola|blackberry|"
    r"windows|outlook|yahoo|gmail|mail|mobil|mobile|phone|smartphone|tablet|proton|gmx|web\.de|k-9|telefon|"
    r"telefoon|puhelin|"
    r"téléphone|teléfono|handy|мобильн|почт|telefone|telefono"
)
PHONE_LINE = re.compile(
    rf"(?:(?:{_SENT})\b[^,;]{{0,70}}(?:{_DEVICES}).{{0,60}}|sent\s+from\s+my\s[^,.;]{{1,40}}|"
    r"(?:get|hämta|skaffa|download|holen\s+sie\s+sich|laden\s+sie|télécharger|obtenez|obtener|descargar?|scarica|"
    r"ottieni|"
    r"obter|hent|få|hanki|pobierz|získejte|получите|скачать)\s+outlook\s.{0,60}|outlook\s+voor\s+(?:ios|"
    r"android).{0,60}|"
    r"(?:iphone|ipad|android).{0,10}から送信|发自我的.{1,30}|從我的.{1,30}(?:傳送|寄出)|(?:从|從)我的.{1,20}发送|"
    r"나의\s+i(?:phone|pad)에서\s+보냄|iphone'?umdan\s+gönderildi|"
    r"virus[- ]?free\.?\s+www\.avast\.com.{0,40}|this\s+email\s+has\s+been\s+checked\s+for\s+viruses\s+by.{0,80})",
    re.IGNORECASE,
)
