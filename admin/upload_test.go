package admin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/gateway/httpserve"
	"izinli/gateway/httpserve/pipetest"
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

// pipe is a request over a pipe to a panel that is served as ever.
func (b *browser) pipe(c net.Conn, method, path, headers string) error {
	cookies := ""
	for name, value := range b.cookies {
		cookies += name + "=" + value + ";"
	}
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n%s\r\n", method, path, cookies, headers)
	return err
}

// A file takes as long as its size asks for, and one that stops is refused beside its field; what stands before it has to come as any
// form has to, so that nobody holds a connection for long without a form of ours.
func TestUploadsTakeTheirTime(t *testing.T) {
	const piece = 2 << 20
	good := [][2]string{{"account", "1"}, {"brand", "675403"}, {"channel", "sms"}, {"mode", "verify"}}
	for _, x := range []struct {
		why    string
		fields [][2]string
		rests  bool // before the file
		pieces int  // of three
		status int  // 0: any or none, the connection ends
		says   string
		upto   time.Duration
	}{
		{"a large file", good, false, 3, http.StatusSeeOther, "", 4 * time.Minute},
		{"a file that stops", good, false, 1, http.StatusUnprocessableEntity, "Dosya iki dakika boyunca gelmedi", 4 * time.Minute},
		{"fields that stop", good[:2], true, 0, 0, "", time.Minute},
		{"a field without end", [][2]string{{"brand", strings.Repeat("x", piece)}}, false, 3, http.StatusRequestEntityTooLarge, "", time.Minute},
		{"a form of somebody else", [][2]string{{csrfField, "x"}}, false, 3, http.StatusForbidden, "", time.Minute},
	} {
		t.Run(x.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.staff()
				w.panel.cfg.MaxImport = 16 << 20
				b := w.signedIn("owner")
				var head bytes.Buffer
				m := multipart.NewWriter(&head)
				for _, f := range append([][2]string{{csrfField, b.token()}}, x.fields...) {
					_ = m.WriteField(f[0], f[1])
				}
				if !x.rests {
					_, _ = m.CreateFormFile("file", "liste.txt")
				}
				tail := "\r\n--" + m.Boundary() + "--\r\n"
				start, sent := time.Now(), make(chan struct{})
				err := pipetest.Over(w.panel.Serve, func(c net.Conn) {
					go func() {
						defer close(sent)
						err := b.pipe(c, post, "/consents/import", fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n", m.FormDataContentType(), head.Len()+3*piece+len(tail)))
						if err == nil {
							_, err = c.Write(head.Bytes())
						}
						for i := 0; i < x.pieces && err == nil; i++ {
							_, err = io.WriteString(c, strings.Repeat("5", piece))
							time.Sleep(time.Minute)
						}
						if err == nil && x.pieces == 3 {
							_, _ = io.WriteString(c, tail)
						}
					}()
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					status, page := 0, []byte(nil)
					if err == nil {
						status = resp.StatusCode
						page, _ = io.ReadAll(resp.Body)
					}
					if took := time.Since(start); x.status != 0 && status != x.status || !strings.Contains(string(page), x.says) || took > x.upto {
						t.Errorf("%d after %v, want %d and %q within %v: %s", status, took, x.status, x.says, x.upto, page)
					}
				})
				<-sent
				if began := len(w.office.done()); err != nil || (began == 1) != (x.status == http.StatusSeeOther) {
					t.Errorf("%d imports began; %v", began, err)
				}
			})
		})
	}
}

// Uploads of others hold nobody up, however many do not move.
func TestUploadsDoNotHoldOthersUp(t *testing.T) {
	w := newWorld(t)
	w.staff()
	var stuck sync.WaitGroup
	defer stuck.Wait()
	for range 20 {
		b := w.signedIn("admin")
		body, in := io.Pipe()
		stuck.Go(func() {
			b.do(post, "/consents/import", "multipart/form-data; boundary=x", body)
			_ = body.Close()
		})
		if _, err := io.WriteString(in, "--x\r\nContent-Disposition: form-data; name=\"account\"\r\n\r\n1"); err != nil {
			t.Errorf("an upload was turned away before its form was read: %v", err)
		}
		defer in.Close()
	}
	if rec := w.signedIn("owner").sendFile("account", "1", "brand", "675403", "channel", "sms", "mode", "verify"); rec.Code != http.StatusSeeOther {
		t.Errorf("somebody else's upload: %d", rec.Code)
	}
}

// Refused rows go out for as long as they are fetched; a file that breaks off does not look whole, and one that never began is a page.
func TestRefusedRowsAreWholeOrBroken(t *testing.T) {
	const piece, pieces = 1 << 20, 6
	for _, x := range []struct {
		breaks int           // pieces before the disk does
		every  time.Duration // a piece is fetched
		status int
	}{{pieces + 1, 20 * time.Second, http.StatusOK}, {3, 0, http.StatusOK}, {0, 0, http.StatusInternalServerError}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.staff()
			w.office.refused = func(out io.Writer) error {
				for i := range pieces {
					if i == x.breaks {
						return errors.New("the disk broke")
					}
					if _, err := io.WriteString(out, strings.Repeat("a", piece)); err != nil {
						return err
					}
				}
				return nil
			}
			err := pipetest.Over(w.panel.Serve, func(c net.Conn) {
				if err := w.signedIn("owner").pipe(c, get, "/consents/import/i1/errors.csv?account=1", ""); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				octets := int64(0)
				for err == nil {
					var n int64
					n, err = io.CopyN(io.Discard, resp.Body, piece)
					octets += n
					time.Sleep(x.every)
				}
				file := resp.Header.Get("Content-Disposition") != ""
				if whole := errors.Is(err, io.EOF); resp.StatusCode != x.status || file != (x.breaks > 0) || whole != (x.breaks == 0 || x.breaks > pieces) || x.breaks > pieces && octets != pieces*piece {
					t.Errorf("breaking after %d pieces: %d, %d octets, a file %t, its end %v", x.breaks, resp.StatusCode, octets, file, err)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
