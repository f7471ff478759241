"""What servers say when they refuse or give up, in the words and languages of those that exist.

Each table is one pattern, tried on text whose white space is single spaces. Sources: Postfix (smtpd(8)), Exim
(spec ch. 49), qmail (qmail-send.9), Sendmail, OpenSMTPD, Courier, Exchange ("Email non-delivery reports in Exchange
Online", learn.microsoft.com), Gmail ("SMTP error reference", support.google.com/a/answer/3726730), Yahoo ("SMTP error
codes", senders.yahooinc.com), Outlook.com (postmaster.live.com), GMX and WEB.DE (postmaster.gmx.net), Orange and
La Poste (OFR and LPN codes), HCL Domino, Comcast, Spamhaus.
"""

import re


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


LISTED = _any(
    r"\bspamhaus\b|\bspamcop\b|\bbarracuda(?:central|networks)\b|\bsorbs\b|\b(?:dns)?[rw]?bls?\b|\bdnsbl\b|"
    r"\bblack-?list",
    r"\bblock-?list|\bdeny-?list|\bgrey-?list(?!ed|ing)x|blocked using|banned sending ip|is listed (?:at|in|by|on)\b",
    r"\bdmarc\b|\bdkim\b|\bspf (?:check|fail|validation|record|softfail|permerror)|fails? spf|"
    r"\bsender policy framework",
    r"detected as spam|(?:considered|classified|identified|marked|looks? like|likely) (?:to be |"
    r"as )?(?:an? )?(?:spam|unsolicited)",
    r"\bunsolicited\b|\bspam (?:message|content|score|detected|filter|mail|reject|policy|like)|\bjunk mail\b|"
    r"suspected spam",
    r"rejected (?:as|due to|for|because of) (?:\w+ )?spam|(?:low|poor|bad|sender|ip|domain) reputation|"
    r"reputation (?:of|is|score)",
    r"\[?(?:TSS|TS)0\d\]?|\bS31[45]\d\b|\bS775\b|\bAUP#|\b(?:LPN|LPNAAA|OFR|OUK)(?:\d{3})?[-_](?:10[1-3]|40[1-5]|"
    r"415|421|506|510|517|630|999)\b|\bDT:SPM\b|"
    r"\bCXBL\b|a problem occurred\. \(ask your postmaster|\bIB1\d\d\b",
    r"spam detect|est(?:e|é)?\s?considéré comme (?:du )?spam|message (?:indésirable|refusé pour spam)|"
    r"spam\s?verdacht|als spam",
    r"schwarze liste|sperrliste|lista (?:negra|nera)|liste noire|zwarte lijst|svart(?:e)?list|чёрн\w+ спис|"
    r"черн\w+ спис|спам",
    r"垃圾邮件|垃圾郵件|黑名单|黑名單|迷惑メール|스팸",
)
"""The sender's standing or the mail's content, in words that no refusal of a mailbox uses."""

ABOUT_US = _any(
    r"sender(?: address| domain| ip)? (?:verif\w+ fail|rejected|denied|blocked|not allowed|invalid|refused|"
    r"unknown)|sender verify failed",
    r"domain of sender|sender'?s? (?:e-?mail )?domain|sender address .{0,40}(?:not exist|not found|invalid)",
    r"(?:mail from|from address|return path|envelope sender) .{0,40}(?:reject|denied|invalid|refused|not exist)",
    r"not (?:authori[sz]ed|permitted|allowed) to (?:send|relay|connect|deliver|use)|"
    r"relay(?:ing)? (?:access )?(?:denied|not (?:allowed|permitted))",
    r"unauthenticated senders?|smtp authentication in your|mismatches client ip|host network not allowed|"
    r"unroutable sender|unverifi?y?able sending|from: domain is invalid|insecure mail relay",
    r"group .{0,160}permission|gruppe .{0,250}berechtigung|skupin.{0,160}oprávnění|groupe .{0,160}autoris|"
    r"群組.{0,80}權限",
    r"unable to relay|not relay|reverse dns|\brdns\b|\bptr\b|\b(?:helo|ehlo)\b .{0,60}(?:reject|invalid|refus|"
    r"denied)",
    r"must (?:issue|use) (?:a )?starttls|tls (?:is )?required|authentication (?:is )?required|"
    r"requires? authentication",
    r"your (?:ip|server|host|network|domain)(?: address)? (?:\[?[\da-f.:]+\]? )?(?:has been |have been |is |was |"
    r"are )?(?:temporarily )?(?:blocked|refused|banned|denied|rejected)",
    r"client host (?:rejected|\[?[\da-f.:]+\]? (?:blocked|denied))|(?:ip|ip address) .{0,60}(?:blocked|banned|"
    r"denied)|access to this mail system .{0,20}denied",
)
"""Refused for who handed it over, though words such as 'not found' or 'unknown' may stand in it."""

POLICY = _any(
    r"your (?:message|mail|e-?mail) (?:has been |was |is )?(?:blocked|refused|denied|rejected)|"
    r"connection .{0,60}(?:blocked|banned|denied)|blocked (?:by|due|because|for)",
    r"policy (?:reason|violation|restriction|rejection|reject)|due to (?:local |security |our |a )?polic|"
    r"violat\w+ .{0,30}policy",
    r"against (?:our |local )?policy|administrative(?:ly)? (?:prohibi|den)|\bprohibited\b|content (?:rejected|"
    r"filter|policy|not acce)",
    r"\b(?:virus|malware|phishing|trojan|executable)\b|attachment .{0,30}(?:not allowed|blocked|prohibited|rejected)",
    r"message (?:was |is |has been )?(?:rejected|refused|blocked|denied)|transaction failed\. reject|"
    r"not accepted for policy|filtered",
    r"(?:message|mail|e-?mail|content|data)(?: size)? (?:is )?(?:too (?:big|large|long)|exceeds .{0,40}(?:size|"
    r"limit|maximum))|size limit exceed|max\w* message size",
    r"denied by .{0,20}polic|protocol violation|line limit exceeded|line (?:is )?too long|malformed|bare (?:lf|"
    r"cr)|non-?rfc|not rfc ?5?[28]22|restricted (?:to|sender)|"
    r"closed list|members only|moderat",
    r"richtlini|nicht (?:berechtigt|erlaubt|autorisiert)|abgelehnt|zurückgewiesen|politique|non autorisé|"
    r"refusée?s?|refuse\b|bloqu[eé]|rechazad[oa]",
    r"no (?:está )?autorizad|permiso|rifiutat|bloccat|non autorizzat|recusad[oa]|rejeitad[oa]|bloquead[oa]|"
    r"geweigerd|niet toegestaan",
    r"avvisad|blockera|inte tillåt|behörig|afvist|avvist|hylätty|estetty|odrzucon|zablokowan|odmítnut|zablokován|"
    r"отклонен|заблокирован|запрещ|拒收|拒绝|拒絕|拒否|거부|차단|reddedildi|elutasít",
)
"""Refused for a rule: believed where nothing says more."""

FULL = _any(
    r"(?:mail ?box|mail ?folder|inbox|account|quota|storage|maildir|mail spool)\b.{0,40}\b(?:full|exceed|over|"
    r"exhausted|limit|too large)",
    r"(?:over|exceed\w*|out of|insufficient|not enough|no) .{0,30}\b(?:quota|storage|disk space|space|"
    r"mailbox size|allowed size)|overquota|quotaexceeded",
    r"\bOFR(?:\d{3})?[-_]417\b|quota (?:is )?(?:exceed|full|violation|limit)|disk (?:quota|full)|is full\b|"
    r"user'?s? (?:disk )?quota|"
    r"would exceed|\bstorage limit",
    r"postfach .{0,60}(?:voll|überfüllt)|(?:posteingang|speicherplatz|kontingent) .{0,60}(?:voll|überschritten|"
    r"erschöpft)|boîte .{0,60}(?:pleine|saturée)",
    r"(?:buzón|bandeja|casilla) .{0,60}llen[oa]|casella .{0,60}pien[ao]|caixa .{0,60}cheia|postvak .{0,40}vol\b|"
    r"mailbox .{0,20}vol\b",
    r"(?:brevlåda|inkorg|postkasse|postlåda|indbakke|innboks)\w* .{0,60}(?:full|fuld)|postilaatikko .{0,40}täynnä|"
    r"skrzynka .{0,60}(?:pełna|przepełniona)",
    r"schránka .{0,60}plná|(?:ящик|почтов\w+) .{0,60}(?:переполнен|заполнен)|квот|容量(?:超過|不足|已满|が)|"
    r"いっぱい|已满|已滿|"
    r"空间不足|空間不足|용량|가득|kotası? dol|dolu\b|megtelt",
)
"""The mailbox is there and has no room."""

HELD_UP = _any(
    r"too (?:quickly|fast|many)|\brate(?:[- ]limit|.{0,30}(?:prevents|exceed))|throttl|\btemporar|grey-?list(?:ed|"
    r"ing)",
    r"vorübergehend|temporaire|temporal|temporane|tijdelijk|tillfällig|midlertidig|tymczasow|dočasn|времен|一時的|"
    r"일시적|geçici|ideiglenes",
)
"""Only for now, whatever else is said."""

LATER = _any(
    r"try (?:your (?:message|request) )?(?:again|later)|please retry|will retry",
    r"timed? ?out|time-?out|connection (?:was )?(?:refused|reset|dropped|lost|closed|died|failed|timed)|(?:could|"
    r"can|was) ?n(?:o|')t (?:establish|connect|able to connect)",
    r"couldn'?t (?:establish|connect)|no route to host|network (?:is )?unreachable|lost connection|"
    r"not accepting (?:messages|mail)|service (?:is )?(?:not available|unavailable|shutting)",
    r"retry time|\bexpired?\b|too long in|(?:delivery|retry) time|max\w* (?:hop|retr)|too many hops|hop count|"
    r"\bloops?\b|looping|out of (?:memory|resources)|system (?:resources|load)",
    r"unable to (?:connect|contact|reach)|host (?:is )?(?:unreachable|down|not reachable)|deferred|(?:dns|"
    r"name service|name server|host lookup) .{0,40}(?:try again|timeout|did not complete|tempfail)",
    r"local (?:error|configuration|problem)|mailer error|internal (?:server )?error|resources? temporarily|frozen|"
    r"transport .{0,40}(?:fail|error|returned)|mail server .{0,30}(?:not respond|down)",
    r"später|zeitüberschreitung|veuillez (?:essayer|réessayer) plus tard|délai|más tarde|più tardi|mais tarde|"
    r"later opnieuw|senare|myöhemmin|później|později|позже|позднее|稍后|稍後|超时|逾時|タイムアウト|나중에|"
    r"daha sonra|később",
)
"""Something is in the way for now, or was for too long."""

NOBODY = _any(
    r"(?:user|recipient|mailbox|mail box|address|account|rcpt|addressee|inbox|local ?part|alias|"
    r"customer)\b[^.;]{0,60}\b(?:unknown|not found|does(?: not|n'?t) exist|not exist|could(?: not|n't) be found|"
    r"wasn't found|invalid|not valid|nonexist\w*|non-exist\w*|not known|isn't known|no longer|not listed|"
    r"unavailable|not available|is not a)",
    r"(?:unknown|no such|invalid|non-?existent|nonexisting|bad|undeliverable|unrouteable|unroutable|inexistent|"
    r"obsolete|wrong) (?:local )?(?:final )?(?:delivery )?(?:user|recipient|mailbox|address|account|destination|"
    r"local[- ]?part|"
    r"person|userid|addressee|mail drop|domain|rcpt|email|e-mail)",
    r"no mailbox (?:here|by that name)|no (?:one|body) (?:here )?by that name|(?:user|we) (?:doesn't|does not|"
    r"do not|don't) have|dd (?:this user|requested)|there is no (?:user|one|such|mailbox)",
    r"(?:account|mailbox|user|recipient|address)\b.{0,40}\b(?:disabled|inactive|closed|suspended|deactivated|"
    r"terminated|cancell?ed|deleted|discontinued|expired|moved)",
    r"no longer (?:active|exists|valid|available|in use|works|employed|monitored|accept|on (?:our|this) server)|"
    r"recip(?:ient)?notfound|exrecipnotfound|not listed in (?:domino|public name)|mailbox unavailable",
    r"recipient address rejected: access denied|recipient rejected|recipient (?:is )?not (?:accepted|recognized|"
    r"on this)|(?:address|recipient|user) (?:was )?not (?:found|recogni[sz]ed)|not (?:our|a local) (?:customer|"
    r"user)|not our customer",
    r"(?:host or )?domain name not found|name service error .{0,80}(?:host not found|nxdomain|no such)|(?:host|"
    r"domain)(?: name)? (?:unknown|not found|does(?: not|n't) exist|lookup failed: (?:unknown|no such))|"
    r"unknown host|any host named",
    r"unrouteable address|host [\w.-]+ not found|(?:account|mailbox) (?:is )?(?:locked|frozen)|no valid recipients|"
    r"\b(?:LPN|OFR)(?:\d{3})?[-_](?:416|42[06])\b|ディレクトリのリストにありません|does(?: not|"
    r"n't) accept (?:any )?mail|nullmx|null mx|indicated no smtp service|"
    r"no mx (?:found|record)|"
    r"all relevant mx records point to non-existent|no (?:valid )?(?:hosts?|mail server) (?:found )?for|"
    r"dns domain .{0,60}does(?: not|n't) exist|domain .{0,60}couldn't be found|no such domain",
    r"unbekannt\w*|existiert nicht|nicht (?:gefunden|vorhanden|verfügbar|erreichbar|bekannt)|"
    r"kein (?:solch\w+ )?(?:benutzer|postfach|empfänger)|ungültige\w* (?:empfänger|adresse|mail)|deaktiviert|"
    r"gelöscht|gesperrt",
    r"(?:utilisateur|destinataire|adresse|compte|boîte)\b.{0,50}(?:inconnue?|invalide|inexistante?|introuvable|"
    r"n'existe|désactivée?|fermée?)|destinataire invalide",
    r"(?:usuario|destinatario|dirección|cuenta|buzón)\b.{0,60}(?:desconocid[oa]|no existe|no válid[oa]|"
    r"no se (?:encontró|encuentra|ha encontrado)|inexistente|deshabilitad[oa])|no existe (?:el|la|ning)",
    r"(?:utente|destinatario|casella|indirizzo|account)\b.{0,60}(?:sconosciut[oa]|inesistente|non esiste|"
    r"non (?:è stato )?trovato|disabilitat[oa]|non valido)",
    r"(?:usuário|utilizador|destinatário|endereço|conta|caixa)\b.{0,60}(?:desconhecid[oa]|inexistente|não existe|"
    r"não (?:foi )?encontrad[oa]|inválid[oa]|desativad[oa])",
    r"onbekende? (?:gebruiker|ontvanger|adres)|(?:gebruiker|ontvanger|adres|postvak|mailbox|"
    r"account)\b.{0,60}(?:bestaat niet|niet (?:gevonden|bekend)|onbekend|opgeheven|gedeactiveerd)",
    r"okänd (?:användare|mottagare|adress)|(?:användare|mottagare|adress|brevlåda|konto)\w*\b.{0,60}(?:finns inte|"
    r"finns ej|hittades inte|kunde inte hittas|hittas inte|okänd|avslutat|spärrad)|kunde inte hittas",
    r"uk(?:endt|jent) (?:bruger|bruker|modtager|mottaker|adresse)|(?:findes|finnes|eksisterer) ikke|"
    r"ble ikke funnet|blev ikke fundet|tuntematon (?:käyttäjä|vastaanottaja|osoite)|ei (?:löydy|löytynyt|"
    r"ole olemassa)",
    r"nieznany (?:użytkownik|odbiorca|adres)|nie istnieje|nie (?:został[oa]? )?znalezion\w|neznámý (?:uživatel|"
    r"příjemce)|neexistuje|nebyl[ao]? nalezen|не (?:существует|найден)\w*|неизвест\w+ (?:пользовател|получател|"
    r"адрес)|нет такого (?:пользователя|адреса|ящика)|отключен|невозможно найти",
    r"存在しません|見つかりません|見つからない|宛先不明|(?:宛先|ユーザー?|アドレス).{0,20}(?:不明|無効|"
    r"存在しない)|不存在|未找到|找不到|无此用户|無此|查無此|查无此|"
    r"无效.{0,8}(?:收件人|地址|邮箱)|존재하지 ?않|찾을 수 없|없는 (?:사용자|메일|주소)|bulunamadı|mevcut değil|"
    r"bilinmeyen|ismeretlen|"
    r"nem létezik|nem található",
)
"""There is no such mailbox or domain, or it is closed for good."""

WAITING = _any(
    r"still (?:trying|being retried|be retried|attempting)|(?:do|need|have) not (?:need to )?(?:resend|"
    r"do anything|take any action)|warning message only|will (?:be |continue to be |keep )?(?:re)?(?:tried|try|"
    r"trying|attempt)",
    r"(?:has |have |is |was |been )+(?:delayed|deferred)|(?:message|delivery)\b.{0,60}\bdelay|"
    r"delay(?:ed)? (?:mail|delivery)|not (?:yet )?been delivered (?:yet|to)|could not be delivered (?:for|yet)|"
    r"not been able to deliver .{0,60}yet",
    r"verzögert|noch nicht zugestellt|weiterhin versucht|retardée?|différée?|retrasad|demorad|se ha retrasado|"
    r"ritardat|in ritardo|atrasad|vertraagd|försenad|fördröjd|forsinket|viivästy|opóźni|zpožděn|задерж|отложен|遅延|"
    r"遅れて|延迟|延遲|지연|gecik|késleltet",
)
"""Nothing is final yet."""

DELIVERED = _any(
    r"(?:success(?:ful|fully)?|has been|was) (?!not\b)(?:\w+ )?(?:delivered|relayed)|"
    r"delivery (?:to the following recipients? )?(?:was )?success(?:ful|fully)\b|erfolgreich zugestellt|a été remis|"
    r"se (?:ha )?entreg(?:ó|ado)|è stato consegnato|foi entregue|is (?:afgeleverd|bezorgd)|har levererats|"
    r"доставлено|配信されました|已送达|送達済み",
)
