// Package public is the door for people and for İYS: the pages behind unsubscribe links, short links in text messages, hosted
// consent forms with their double opt-in, and the receiver of İYS's pushes.
//
// Whoever comes here has no account. What lets somebody act is what he holds: a sealed token (package unsubscribe), a short code,
// a confirmation code that went to his own address, or the credentials İYS was registered with. The door parses, looks who may do
// what, calls gateway.ConsentDesk, gateway.Submitter or Pushes, and shows the answer; it decides nothing about consent.
//
// Three rules hold for every page:
//
//   - GET and HEAD change nothing. Mail scanners, previews and crawlers follow links; only a POST is somebody's will.
//   - What a page says has happened has been synced before (P2). A page that cannot say so says that it failed.
//   - It works without JavaScript, without cookies (but for the consent form) and without anything from another host; the
//     Content-Security-Policy allows nothing else.
//
// One-click unsubscribing (RFC 8058) is the POST of the same address by a mail program: no cookie, no redirect, an empty answer.
package public
