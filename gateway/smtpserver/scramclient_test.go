package smtpserver

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// scramClient is a SCRAM-SHA-256 client after RFC 5802; go-sasl has none.
type scramClient struct {
	name, password, flag string
	bare, want           string
	step                 int
}

func (c *scramClient) Start() (string, []byte, error) {
	if c.flag == "" {
		c.flag = "n"
	}
	c.bare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.name) + ",r=fyko+d2lbbFgONRv9qkxdawL"
	return scramSHA256, []byte(c.flag + ",," + c.bare), nil
}

func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	c.step++
	if c.step == 2 {
		if string(challenge) != c.want {
			return nil, errors.New("the server does not know the keys")
		}
		return []byte{}, nil
	}
	parts := strings.Split(string(challenge), ",")
	if len(parts) != 3 {
		return nil, errors.New("malformed challenge")
	}
	salt, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(parts[1], "s="))
	if err != nil {
		return nil, err
	}
	rounds, err := strconv.Atoi(strings.TrimPrefix(parts[2], "i="))
	if err != nil {
		return nil, err
	}
	salted, err := pbkdf2.Key(sha256.New, c.password, salt, rounds, 32)
	if err != nil {
		return nil, err
	}
	clientKey := hmac256(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(c.flag+",,")) + "," + parts[0]
	authMessage := c.bare + "," + string(challenge) + "," + without
	proof := hmac256(stored[:], authMessage)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	c.want = "v=" + base64.StdEncoding.EncodeToString(hmac256(hmac256(salted, "Server Key"), authMessage))
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}
