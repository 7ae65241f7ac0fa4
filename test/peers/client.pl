#!/usr/bin/perl
# A customer who uses Net::SMPP: binds as transceiver, submits a Turkish text once as message_payload and once in parts of its
# own making, then a short one, and prints the ids it was given and the receipts it got as JSON.
use strict;
use warnings;
use Encode qw(decode encode);
use Net::SMPP;

my ($host, $port, $system, $password, $sender, $text, $to_payload, $to_parts, $to_short) = @ARGV;
$SIG{ALRM} = sub { die "no end in sight\n" };
alarm 90;

my ($smpp, $resp) = Net::SMPP->new_transceiver($host, port => $port, system_id => $system, password => $password,
    interface_version => 0x34) or die "bind: $!\n";
die "bind: status $resp->{status}\n" if $resp->{status};

my $ucs2 = encode('UTF-16BE', decode('UTF-8', $text));
my @submits = ({ destination_addr => $to_payload, data_coding => 8, short_message => '', message_payload => $ucs2 });
my $size = 134;    # octets of a part beside a header of six
my $total = int((length($ucs2) + $size - 1) / $size);
for my $i (0 .. $total - 1) {
    push @submits, { destination_addr => $to_parts, data_coding => 8, esm_class => 0x40,
        short_message => pack('C6', 5, 0, 3, 0x43, $total, $i + 1) . substr($ucs2, $i * $size, $size) };
}
push @submits, { destination_addr => $to_short, short_message => 'Merhaba' };

my %open;          # sequence numbers without an answer
my (@ids, @receipts);
for my $s (@submits) {
    my $seq = $smpp->submit_sm(async => 1, source_addr_ton => 5, source_addr_npi => 0, source_addr => $sender, dest_addr_ton => 1,
        dest_addr_npi => 1, registered_delivery => 1, %$s) or die "submit_sm: $!\n";
    $open{$seq} = 1;
}
while (%open or @receipts < @submits) {
    my $pdu = $smpp->read_pdu() or die "the connection ended\n";
    if ($pdu->{cmd} == Net::SMPP::CMD_submit_sm_resp) {
        die "submit_sm: status $pdu->{status}\n" if $pdu->{status};
        delete $open{ $pdu->{seq} } or die "an answer to nothing\n";
        push @ids, $pdu->{message_id};
    }
    elsif ($pdu->{cmd} == Net::SMPP::CMD_deliver_sm) {
        $smpp->deliver_sm_resp(seq => $pdu->{seq}, message_id => '');
        my ($id)   = $pdu->{short_message} =~ /id:(\S+)/;
        my ($stat) = $pdu->{short_message} =~ /stat:(\S+)/;
        die "a deliver_sm that is no receipt: $pdu->{short_message}\n" unless $id and $stat and $pdu->{esm_class} == 4;
        push @receipts, "{\"ID\":\"$id\",\"Stat\":\"$stat\"}";
    }
    elsif ($pdu->{cmd} == Net::SMPP::CMD_enquire_link) {
        $smpp->enquire_link_resp(seq => $pdu->{seq});
    }
}
$smpp->unbind();
printf "{\"IDs\":[%s],\"Receipts\":[%s]}\n", join(',', map { "\"$_\"" } @ids), join(',', @receipts);
