# A long submission session as a mail program holds it, by Python's smtplib: pauses, changes of mind, parameters, and what becomes of a
# session that falls silent. Arguments: host, port, CA file, user, password, sender, recipient who agreed, one who did not, pause in
# seconds. Every expectation that fails ends it with a message; "ok" is printed at the end.
import smtplib
import ssl
import sys
import time

host, port, ca, user, password, sender, agreed, stranger, pause = sys.argv[1:10]
pause = float(pause)


def want(what, got, code, text=b""):
    if got[0] != code or text not in got[1]:
        sys.exit("%s: answered %r, want %d %s" % (what, got, code, text.decode()))


def out_of_order(what, got):
    if got[0] not in (502, 503):  # go-smtp says 502 to some; either sends the client back (RFC 5321 4.2.4)
        sys.exit("%s: answered %r, want a refusal" % (what, got))


def connect():
    c = smtplib.SMTP(host, int(port), local_hostname="laptop.example", timeout=30)
    want("EHLO in clear", c.ehlo(), 250)
    if "auth" in c.esmtp_features or "starttls" not in c.esmtp_features:
        sys.exit("in clear it offers %r" % c.esmtp_features)
    want("MAIL in clear", c.docmd("MAIL", "FROM:<%s>" % sender), 530)
    want("STARTTLS", c.starttls(context=ssl.create_default_context(cafile=ca)), 220)
    want("EHLO", c.ehlo(), 250)
    want("EHLO again", c.ehlo(), 250)
    for word in ("size", "dsn", "8bitmime", "pipelining", "chunking", "smtputf8", "auth", "enhancedstatuscodes"):
        if word not in c.esmtp_features:
            sys.exit("no %s in %r" % (word, c.esmtp_features))
    want("AUTH", c.login(user, password), 235)
    return c


def text(n):
    return ("From: %s\r\nTo: %s\r\nSubject: oturum %d\r\nMessage-ID: <oturum-%d@laptop.example>\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\nMerhaba ğüşiöç\r\n.nokta ile başlayan satır\r\n" % (sender, agreed, n, n)).encode()


c = connect()
c.sendmail(sender, [agreed], text(1), mail_options=["BODY=8BITMIME"])
time.sleep(pause)

raw = text(2)
want("MAIL with parameters", c.mail(sender, ["SIZE=%d" % len(raw), "BODY=8BITMIME", "RET=HDRS", "ENVID=oturum2"]), 250)
want("RCPT with parameters", c.rcpt(agreed, ["NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;" + agreed]), 250)
want("DATA", c.data(raw), 250)
time.sleep(pause)

want("a transaction begun", c.mail(sender), 250)
want("its recipient", c.rcpt(agreed), 250)
want("RSET", c.rset(), 250)
want("NOOP", c.noop(), 250)
out_of_order("DATA after RSET", c.docmd("DATA"))
want("too large", c.mail(sender, ["SIZE=999999999"]), 552, b"5.3.4")
want("a bad NOTIFY", (c.mail(sender), c.rcpt(agreed, ["NOTIFY=NEVER,SUCCESS"]))[1], 501)
want("RSET", c.rset(), 250)
want("a foreign sender", c.mail("baskasi@example.net"), 550, b"5.7.1")
want("MAIL", c.mail(sender), 250)
want("who did not agree", c.rcpt(stranger), 550, b"5.7.1")
want("MAIL within MAIL", c.mail(sender), 503)
want("EHLO ends a transaction", c.ehlo(), 250)
out_of_order("RCPT without MAIL", c.rcpt(agreed))
want("AUTH twice", c.docmd("AUTH", "PLAIN"), 503)
want("VRFY tells nothing", c.verify(agreed), 252)
time.sleep(pause)
c.sendmail(sender, [agreed], text(3), mail_options=["BODY=8BITMIME"])
want("QUIT", c.quit(), 221)

# A session that falls silent is ended with 421, and the program connects again.
c = connect()
c.sendmail(sender, [agreed], text(4), mail_options=["BODY=8BITMIME"])
want("silence", c.getreply(), 421, b"4.4.2")
try:
    c.noop()
    sys.exit("the session goes on after 421")
except (smtplib.SMTPServerDisconnected, OSError):
    pass
c = connect()
c.sendmail(sender, [agreed], text(5), mail_options=["BODY=8BITMIME"])
want("QUIT", c.quit(), 221)
print("ok")
