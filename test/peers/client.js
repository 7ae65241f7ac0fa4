// A customer who uses npm's smpp: binds as transceiver, submits a Turkish text once as message_payload and once in parts of its
// own making, then a short one, and prints the ids it was given and the receipts it got as JSON.
'use strict';
const smpp = require('smpp');

const [host, port, system, password, sender, text, toPayload, toParts, toShort] = process.argv.slice(2);
const report = { IDs: [], Receipts: [] };
let wanted = 0;

function fail(what, pdu) {
  console.error(what, pdu && pdu.command_status);
  process.exit(1);
}
const alarm = setTimeout(() => fail('no end in sight: ' + JSON.stringify(report)), 90000);

const session = smpp.connect({ url: `smpp://${host}:${port}` }, () => {
  session.bind_transceiver({ system_id: system, password: password, interface_version: 0x34 }, (pdu) => {
    if (pdu.command_status !== 0) fail('bind', pdu);
    submitAll();
  });
});
session.on('error', (e) => fail(e));

function submit(fields) {
  wanted++;
  session.submit_sm(Object.assign({ source_addr_ton: 5, source_addr_npi: 0, source_addr: sender, dest_addr_ton: 1, dest_addr_npi: 1,
    registered_delivery: 1 }, fields), (pdu) => {
    if (pdu.command_status !== 0) fail('submit_sm', pdu);
    report.IDs.push(pdu.message_id);
    finish();
  });
}

function submitAll() {
  const ucs2 = Buffer.from(text, 'utf16le').swap16();
  submit({ destination_addr: toPayload, data_coding: 8, short_message: '', message_payload: { message: ucs2 } });
  const size = 134; // octets of a part beside a header of six
  const total = Math.ceil(ucs2.length / size);
  for (let i = 0; i < total; i++) {
    submit({ destination_addr: toParts, data_coding: 8, esm_class: 0x40,
      short_message: { udh: Buffer.from([5, 0, 3, 0x42, total, i + 1]), message: ucs2.subarray(i * size, (i + 1) * size) } });
  }
  submit({ destination_addr: toShort, short_message: 'Merhaba' });
}

session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  const body = pdu.short_message.message.toString();
  const id = /id:(\S+)/.exec(body);
  const stat = /stat:(\S+)/.exec(body);
  if (!id || !stat || pdu.esm_class !== 4) fail('a deliver_sm that is no receipt: ' + body);
  report.Receipts.push({ ID: id[1], Stat: stat[1] });
  finish();
});

function finish() {
  if (report.IDs.length < wanted || report.Receipts.length < wanted) return;
  clearTimeout(alarm);
  session.unbind(() => {
    session.close();
    console.log(JSON.stringify(report));
    process.exit(0);
  });
}
