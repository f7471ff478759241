"""Postfix, Exim and OpenSMTPD from Debian, run in a scratch folder with settings that hurry."""

import shutil
import subprocess
from pathlib import Path

POSTFIX = """
compatibility_level = 3.6
queue_directory = {at}/queue
data_directory = {at}/data
maillog_file = {at}/log
maillog_file_prefixes = {at}
myhostname = relay.example.org
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 192.0.2.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24 127.0.0.0/8
smtp_host_lookup = dns
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = permit_mynetworks, reject
minimal_backoff_time = 3s
maximal_backoff_time = 5s
queue_run_delay = 2s
delay_warning_time = 4s
maximal_queue_lifetime = 15s
bounce_queue_lifetime = 60s
transport_retry_time = 2s
message_size_limit = 10000000
"""
EXIM = """
primary_hostname = relay.example.org
exim_user = nobody
exim_group = nogroup
never_users =
spool_directory = {at}/spool
log_file_path = {at}/log-%slog
pid_file_path = {at}/pid
local_interfaces = 192.0.2.1
daemon_smtp_ports = 25
disable_ipv6
tls_advertise_hosts =
dsn_advertise_hosts = *
acl_smtp_rcpt = any
host_lookup =
rfc1413_query_timeout = 0s
delay_warning = 4s
received_headers_max = 30
begin acl
any:
  accept
begin routers
out:
  driver = dnslookup
  transport = out
  ignore_target_hosts = 0.0.0.0
  self = send
  no_more
begin transports
out:
  driver = smtp
  hosts_try_auth =
  allow_localhost
  connect_timeout = 2s
begin retry
* * F,12s,3s
"""
OPENSMTPD = """
queue ttl 15s
bounce warn-interval 2s
listen on 192.0.2.1 port 25 hostname relay.example.org
action "out" relay helo relay.example.org
match from any for any action "out"
"""


def start_postfix(at: Path) -> list[str]:
    """Started; the command that stops it is returned."""
    conf = at / "conf"
    for folder in (conf, at / "queue", at / "data"):
        folder.mkdir(parents=True)
    shutil.chown(at / "data", "postfix")
    master = Path("/usr/share/postfix/master.cf.dist").read_text()
    (conf / "master.cf").write_text(master.replace("       y       ", "       n       "))
    (conf / "main.cf").write_text(POSTFIX.format(at=at))
    subprocess.run(["postfix", "-c", str(conf), "start"], check=True)
    return ["postfix", "-c", str(conf), "stop"]


def start_exim(at: Path) -> list[str]:
    """Started in the background; nothing is needed to stop it but ending its process group."""
    (at / "spool").mkdir(parents=True)
    for folder in (at, at / "spool"):
        shutil.chown(folder, "nobody", "nogroup")
    conf = at / "exim.conf"
    conf.write_text(EXIM.format(at=at))
    subprocess.Popen(["exim4", "-C", str(conf), "-bdf", "-q2s"])
    return []


def start_opensmtpd(at: Path) -> list[str]:
    """The same; its spool is where Debian compiled it to be, on a file system of this run alone."""
    at.mkdir(parents=True)
    conf = at / "smtpd.conf"
    conf.write_text(OPENSMTPD)
    subprocess.Popen(["smtpd", "-d", "-f", str(conf)])
    return []


STARTS = {"postfix": start_postfix, "exim": start_exim, "opensmtpd": start_opensmtpd}
