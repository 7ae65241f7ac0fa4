package smppclient_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/gateway/smpptest"
)

func Example() {
	operator, err := smpptest.Start(smpptest.Config{Accounts: map[string]string{"acme": "secret"}})
	if err != nil {
		log.Fatal(err)
	}
	defer operator.Close()

	client, err := smppclient.New(smppclient.Config{
		Name: "op1", Addr: operator.Addr(), SystemID: "acme", Password: "secret",
		Window: 10, RatePerSecond: 100, Logger: slog.New(slog.DiscardHandler),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- client.Run(ctx) }()

	bind := client.Binds()[0]
	reservation, ok := bind.TryReserve(1, smppclient.OTP)
	for !ok {
		<-bind.Ready()
		reservation, ok = bind.TryReserve(1, smppclient.OTP)
	}
	// The last check of consent goes here, under the address's lock.
	outcome := make(chan smppclient.Outcome, 1)
	err = reservation.Commit([]smpp.SubmitSM{{
		Source:       client.Profile().Source("ORNEK"),
		Dest:         client.Profile().Dest("+905321234567"),
		ShortMessage: []byte("Kodunuz: 1234"),
	}}, func(_ int, o smppclient.Outcome) { outcome <- o })
	if err != nil {
		log.Fatal(err) // nothing was sent
	}
	o := <-outcome
	fmt.Println(o.Status, o.MessageID, o.Err)

	stop() // drains and unbinds
	<-ended
	// Output: ESME_ROK 268435466 <nil>
}
