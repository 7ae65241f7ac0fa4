package public

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// PushPath is where İYS pushes what people do over İYS (iys-api.md §8.2); push connections are registered with it.
const PushPath = "/iys/push"

// Bounds of a push. İYS does not say how large one gets; its batches elsewhere have at most 1000 movements of some 300 octets.
const (
	maxPush     = 8 << 20 // octets
	pushTimeout = 30 * time.Second
)

// Pushes takes what İYS pushes.
type Pushes interface {
	// Authorized says for which brand a caller with these credentials may speak.
	Authorized(username, password string) (brand string, ok bool)
	// Pushed applies the body of a push for that brand, and returns nil when everything in it is in force and synced. It bears
	// repeats, and one movement that makes no sense does not sink the rest.
	Pushed(ctx context.Context, brand string, body []byte) error
}

// push receives a push: 2xx is the promise that all of it is kept, everything else asks for it again. What İYS makes of which
// answer is not documented; the pull brings every movement as well.
func (s *Server) push(w http.ResponseWriter, r *http.Request) {
	if s.deps.Pushes == nil {
		http.NotFound(w, r)
		return
	}
	user, password, given := r.BasicAuth()
	brand, ok := "", false
	if given {
		brand, ok = s.deps.Pushes.Authorized(user, password)
	}
	// The password has 260 random bits, so that İYS need not wait for whoever else comes over the same proxy: only those refused are
	// limited.
	if !ok && !s.badPushes.allow(network(s.client(r)), s.cfg.Now()) {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many failed attempts", http.StatusTooManyRequests)
		return
	}
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="iys push", charset="UTF-8"`)
		http.Error(w, "authentication is required", http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		s.log.Error("iys push refused: too large", "brand", brand, "limit", maxPush)
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the body did not come whole", http.StatusBadRequest)
		return
	}
	// İYS may stop waiting after five seconds; what came is applied all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), pushTimeout)
	defer cancel()
	if err := s.deps.Pushes.Pushed(ctx, brand, body); err != nil {
		if s.deps.BadPush != nil && s.deps.BadPush(err) {
			s.log.Error("iys push not understood", "brand", brand, "octets", len(body), "err", err)
			http.Error(w, "not understood", http.StatusBadRequest)
			return
		}
		s.log.Error("iys push not applied; it will come again, or the next pull brings it", "brand", brand, "err", err)
		w.Header().Set("Retry-After", "60")
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}\n"))
}
