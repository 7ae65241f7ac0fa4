package unsubscribe

// Doors for the tests.
var DecodeForTest = decode

// EncodeForTest is Subject.encode.
func EncodeForTest(s *Subject) []byte { return s.encode() }
