package gateway

// States of a consent import.
const (
	ImportRunning = "running"
	ImportDone    = "done"
	ImportFailed  = "failed"
)

// ImportJob is a consent import as it is kept: what was asked for, how the file is to be read, and how far it has come. It is
// written with every finished chunk, so that a restart goes on behind the last one.
type ImportJob struct {
	ImportView
	Account       AccountID
	Credential    string // on whose behalf
	Channel       string // MESAJ, EPOSTA
	RecipientType string // of rows that name none
	Delimiter     byte
	Encoding      string   // utf-8, windows-1254
	Mark          bool     // the file asks for a byte order mark in what is given back
	Header        []string // empty: a bare list of addresses
	HeaderLine    uint32   // lines up to and with the header
	Size          int64    // octets of the file that is read
	Offset        int64    // octets of it that are finished
	Line          uint32   // lines in them
	Defaults      ImportDefaults
}

// ImportDefaults stand for what a row does not say: in a file without the column, or in an empty cell.
type ImportDefaults struct {
	Status       string // ONAY, RET; empty: every row must say it
	Source       string // an HS_ source
	ConsentDate  string // in one of the forms a file may have
	RetailerCode int
}

// Formats of a consent file.
const (
	FormatCSV  = "csv"
	FormatTXT  = "txt"
	FormatXLSX = "xlsx"
)

// ImportMedia are the media types of the formats, of what comes in and of the refused rows that go out.
var ImportMedia = map[string]string{
	FormatCSV: "text/csv", FormatTXT: "text/plain", FormatXLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// ImportRow is a refused row of an import, with the reason in both languages.
type ImportRow struct {
	Line    uint32   // of the file, from 1
	Fields  []string // as they stood there
	Code    Code
	IYS     string // H-code, where İYS has one
	Field   string // at fault, by its name in the API (recipient, consentDate, …); empty: the row as a whole
	Turkish string
	English string
}
