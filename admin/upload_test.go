package admin

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"izinli/gateway"
	"izinli/gateway/httpserve"
)

// What ends an upload is told as what it is, also where it was found while the form's fields were read.
func TestBadUpload(t *testing.T) {
	var f *fault
	if err := badUpload(&gateway.Error{Code: gateway.CodeMalformed, Err: fmt.Errorf("part: %w", httpserve.ErrSlow)}); !errors.As(err, &f) ||
		f.field != "file" || f.key != "import.file.slow" {
		t.Errorf("a file that stopped coming: %v", err)
	}
	var refused *gateway.Error
	if err := badUpload(fmt.Errorf("part: %w", &http.MaxBytesError{Limit: 1})); !errors.As(err, &refused) || refused.Code != gateway.CodeTooLarge {
		t.Errorf("a file that is too large: %v", err)
	}
	other := errors.New("other")
	if err := badUpload(other); err != other {
		t.Errorf("another error became %v", err)
	}
}
