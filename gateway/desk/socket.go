package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"izinli/gateway"
)

// The protocol of the socket: HTTP/1.1, POST /<method>, one JSON value in, one out; a refusal is a wireError with the status of
// its code. The caller's name stands in a header: who may open the socket (mode 0600) is trusted to say who he is.
const (
	actorHeader = "Izinli-Actor"
	maxRequest  = 32 << 20 // octets; 5000 consents with evidence fit
)

// SocketPath is where a server with this data directory listens for administrators.
func SocketPath(data string) string { return filepath.Join(data, "admin.sock") }

// wireError is a *gateway.Error on the socket.
type wireError struct {
	Code  gateway.Code `json:"code"`
	Text  string       `json:"text"`
	Field string       `json:"field,omitempty"`
}

// call reads an argument, calls one method and gives its result.
type call func(ctx context.Context, s Service, body []byte) (any, error)

func route[In, Out any](f func(Service, context.Context, In) (Out, error)) call {
	return func(ctx context.Context, s Service, body []byte) (any, error) {
		var in In
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, gateway.Refuse(gateway.CodeMalformed, "", "The argument could not be read: %v.", err)
		}
		return f(s, ctx, in)
	}
}

// calls has one row per method of Service; a test holds them against each other.
var calls = map[string]call{
	"ListAccounts":       route(Service.ListAccounts),
	"PutAccount":         route(Service.PutAccount),
	"SuspendAccount":     route(Service.SuspendAccount),
	"AddCredits":         route(Service.AddCredits),
	"Balance":            route(Service.Balance),
	"ListBrands":         route(Service.ListBrands),
	"PutBrand":           route(Service.PutBrand),
	"ListSenders":        route(Service.ListSenders),
	"PutSender":          route(Service.PutSender),
	"DeleteSender":       route(Service.DeleteSender),
	"ListNumbers":        route(Service.ListNumbers),
	"PutNumber":          route(Service.PutNumber),
	"DeleteNumber":       route(Service.DeleteNumber),
	"ListCredentials":    route(Service.ListCredentials),
	"CreateCredential":   route(Service.CreateCredential),
	"ChangeCredential":   route(Service.ChangeCredential),
	"RotateCredential":   route(Service.RotateCredential),
	"RevokeCredential":   route(Service.RevokeCredential),
	"ListOperators":      route(Service.ListOperators),
	"PutOperator":        route(Service.PutOperator),
	"DeleteOperator":     route(Service.DeleteOperator),
	"ListRoutes":         route(Service.ListRoutes),
	"PutRoute":           route(Service.PutRoute),
	"DeleteRoute":        route(Service.DeleteRoute),
	"TryRoute":           route(Service.TryRoute),
	"ListSmarthosts":     route(Service.ListSmarthosts),
	"PutSmarthost":       route(Service.PutSmarthost),
	"DeleteSmarthost":    route(Service.DeleteSmarthost),
	"ListDKIMKeys":       route(Service.ListDKIMKeys),
	"CreateDKIMKey":      route(Service.CreateDKIMKey),
	"SwitchDKIMKey":      route(Service.SwitchDKIMKey),
	"DeleteDKIMKey":      route(Service.DeleteDKIMKey),
	"ListRelayPeers":     route(Service.ListRelayPeers),
	"PutRelayPeer":       route(Service.PutRelayPeer),
	"DeleteRelayPeer":    route(Service.DeleteRelayPeer),
	"ListSuppressions":   route(Service.ListSuppressions),
	"DeleteSuppression":  route(Service.DeleteSuppression),
	"ListIYSLinks":       route(Service.ListIYSLinks),
	"PutIYSLink":         route(Service.PutIYSLink),
	"ListWebhooks":       route(Service.ListWebhooks),
	"PutWebhook":         route(Service.PutWebhook),
	"ListForms":          route(Service.ListForms),
	"CreateForm":         route(Service.CreateForm),
	"RevokeForm":         route(Service.RevokeForm),
	"Message":            route(Service.Message),
	"ListMessages":       route(Service.ListMessages),
	"CancelMessage":      route(Service.CancelMessage),
	"Batch":              route(Service.Batch),
	"PauseBatch":         route(Service.PauseBatch),
	"ResumeBatch":        route(Service.ResumeBatch),
	"CancelBatch":        route(Service.CancelBatch),
	"LookupConsent":      route(Service.LookupConsent),
	"AddConsents":        route(Service.AddConsents),
	"OptOut":             route(Service.OptOut),
	"ListBlacklist":      route(Service.ListBlacklist),
	"PutBlacklist":       route(Service.PutBlacklist),
	"DeleteBlacklist":    route(Service.DeleteBlacklist),
	"IYSStatus":          route(Service.IYSStatus),
	"RequeryBrand":       route(Service.RequeryBrand),
	"ReadRights":         route(Service.ReadRights),
	"ListOutbox":         route(Service.ListOutbox),
	"SettleOutbox":       route(Service.SettleOutbox),
	"PutPush":            route(Service.PutPush),
	"ListNewcomers":      route(Service.ListNewcomers),
	"ListReconciledDays": route(Service.ListReconciledDays),
	"ReconcileDay":       route(Service.ReconcileDay),
	"ReconcileProof":     route(Service.ReconcileProof),
	"RepairPlan":         route(Service.RepairPlan),
	"ChangePlan":         route(Service.ChangePlan),
	"ListRetailers":      route(Service.ListRetailers),
	"ListAccess":         route(Service.ListAccess),
	"ListPlaces":         route(Service.ListPlaces),
	"AddRetailer":        route(Service.AddRetailer),
	"DeleteRetailer":     route(Service.DeleteRetailer),
	"ChangeAccess":       route(Service.ChangeAccess),
	"StartVia":           route(Service.StartVia),
	"CompleteVia":        route(Service.CompleteVia),
	"ViaState":           route(Service.ViaState),
	"ViaRecord":          route(Service.ViaRecord),
	"ListVia":            route(Service.ListVia),
	"ViaProof":           route(Service.ViaProof),
	"PrivacyRequests":    route(Service.PrivacyRequests),
	"RefusalLinks":       route(Service.RefusalLinks),
	"Verify":             route(Service.Verify),
	"Evidence":           route(Service.Evidence),
	"Roots":              route(Service.Roots),
	"Packages":           route(Service.Packages),
	"ListHolds":          route(Service.ListHolds),
	"PutHold":            route(Service.PutHold),
	"DeleteHold":         route(Service.DeleteHold),
	"ListUsers":          route(Service.ListUsers),
	"InviteUser":         route(Service.InviteUser),
	"SwitchUser":         route(Service.SwitchUser),
	"ListEvents":         route(Service.ListEvents),
	"ReplayEvents":       route(Service.ReplayEvents),
	"ListBlocks":         route(Service.ListBlocks),
	"ListBookings":       route(Service.ListBookings),
	"CountBrand":         route(Service.CountBrand),
	"ListLanes":          route(Service.ListLanes),
	"PauseLane":          route(Service.PauseLane),
	"SendTest":           route(Service.SendTest),
	"Settings":           route(Service.Settings),
}

// Listen opens the socket with mode 0600 and replaces one a killed server left behind. It refuses when a server answers there.
func Listen(path string) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("desk: %s: another server is running", path)
	}
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("desk: %s is in the way and not a socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("desk: remove the socket left behind: %w", err)
		}
	}
	// Linux gives the socket file the mode of the descriptor, so that nobody else can connect even for an instant.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	ln, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("desk: listen: %w (a socket path has at most 107 octets)", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("desk: %w", err), ln.Close())
	}
	return ln, nil
}

// ServeSocket offers s on ln until ctx ends; calls under way are given five seconds.
func ServeSocket(ctx context.Context, ln net.Listener, s Service, log *slog.Logger) error {
	srv := &http.Server{
		Handler: handler(s), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(ln)
	if stop() { // Serve ended by itself
		return fmt.Errorf("desk: serve: %w", err)
	}
	<-stopped
	return nil
}

func handler(s Service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := calls[r.URL.Path[min(1, len(r.URL.Path)):]]
		if !ok || r.Method != http.MethodPost {
			writeError(w, gateway.Refuse(gateway.CodeNotFound, "", "There is no method %s; server and command may be of different versions.", r.URL.Path))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			writeError(w, gateway.Refuse(gateway.CodeTooLarge, "", ""))
			return
		}
		out, err := c(WithActor(r.Context(), r.Header.Get(actorHeader)), s, body)
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out)
	})
}

// writeError answers a refusal. The administrator sees what a stranger must not: the text of an error of ours.
func writeError(w http.ResponseWriter, err error) {
	e, ok := asRefusal(err)
	if !ok {
		e = &gateway.Error{Code: gateway.CodeInternal, Text: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Code.Wire().HTTP)
	_ = json.NewEncoder(w).Encode(wireError{Code: e.Code, Text: e.Text, Field: e.Field})
}
