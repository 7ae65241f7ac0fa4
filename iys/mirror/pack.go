package mirror

import (
	"time"

	"izinli/iys"
)

// A record is packed into 64 bits, low bits first:
//
//	 0– 1  status      1 ONAY, 2 RET, 3 NOT_ONAY (never 0)
//	 2– 5  origin      index into origins, 0 = unknown
//	 6–10  source      index into sources, 0 = unknown
//	11–46  time        Unix seconds, 0 = none: the consent date, or for look-up
//	                   answers (which have none) when İYS was asked
//	47–63  generation  of the brand's trust, see Mirror.Distrust
//
// A generation comes round after 131 072 losses of trust with records read in
// between each: at one an hour, after fifteen years without a restart.
const (
	originShift = 2
	sourceShift = 6
	timeShift   = 11
	maxTime     = 1<<36 - 1
	genShift    = 47
	maxGen      = 1<<17 - 1
)

var statuses = [...]iys.Status{1: iys.StatusApproved, 2: iys.StatusRejected, 3: iys.StatusNotApproved}

var origins = [...]iys.Origin{
	1: iys.OriginPull, 2: iys.OriginPush, 3: iys.OriginLive, 4: iys.OriginAPI,
	5: iys.OriginImport, 6: iys.OriginForm, 7: iys.OriginDouble, 8: iys.OriginReconcile,
}

var sources = [...]iys.Source{
	1: iys.SourceHS2015, 2: iys.SourceHSDecision, 3: iys.SourceHSPhysical, 4: iys.SourceHSSigned,
	5: iys.SourceHSEvent, 6: iys.SourceHSATM, 7: iys.SourceHSElectronic, 8: iys.SourceHSWeb,
	9: iys.SourceHSMobile, 10: iys.SourceHSSMS, 11: iys.SourceHSEmail, 12: iys.SourceHSCallCenter,
	13: iys.SourceHSSocialMedia, 14: iys.SourceIYSSMS, 15: iys.SourceIYSCall, 16: iys.SourceIYSWeb,
	17: iys.SourceIYSWebNew, 18: iys.SourceIYSMobile, 19: iys.SourceIYSEmail, 20: iys.SourceIYSLineClosed,
	21: iys.SourceIYSFrameEmail, 22: iys.SourceIYSFrameSMS, 23: iys.SourceIYS3338, 24: iys.SourceIYSShortLink,
}

// pack returns false for a status the mirror cannot hold.
func pack(c *iys.Consent, gen uint32) (uint64, bool) {
	v := uint64(index(statuses[:], c.Status))
	if v == 0 {
		return 0, false
	}
	at := c.ConsentDate
	if c.Origin == iys.OriginLive {
		at = c.ReadAt
	}
	if s := at.Unix(); !at.IsZero() && s > 0 && s <= maxTime {
		v |= uint64(s) << timeShift
	}
	v |= uint64(index(origins[:], c.Origin)) << originShift
	v |= uint64(index(sources[:], c.Source)) << sourceShift
	return v | uint64(gen)<<genShift, true
}

// index returns the place of x, 0 when it is not listed.
func index[T ~string](list []T, x T) int {
	for i := 1; i < len(list); i++ {
		if list[i] == x {
			return i
		}
	}
	return 0
}

func unpack(v uint64) Entry {
	e := Entry{Status: at(statuses[:], v&3), Origin: at(origins[:], v>>originShift&15), Source: at(sources[:], v>>sourceShift&31)}
	if s := v >> timeShift & maxTime; s != 0 {
		if e.Origin == iys.OriginLive {
			e.ReadAt = time.Unix(int64(s), 0)
		} else {
			e.ConsentDate = time.Unix(int64(s), 0)
		}
	}
	return e
}

func at[T ~string](list []T, i uint64) T {
	if i < uint64(len(list)) {
		return list[i]
	}
	return ""
}

// generation is what the low bits of the brand's count were when v was packed.
func generation(v uint64) uint32 { return uint32(v >> genShift) }
