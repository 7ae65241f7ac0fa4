package iys

// Package is a yearly İYS subscription by number of addresses (iys-api.md §1).
type Package struct {
	Name  string
	Limit int // addresses; 0 = no upper limit
}

var packages = [...]Package{
	{"İLETİ-5", 5_000},
	{"İLETİ-25", 25_000},
	{"İLETİ-75", 75_000},
	{"İLETİ-150", 150_000},
	{"İLETİ-250", 250_000},
	{"İLETİ+", 0},
}

// Packages lists the packages, smallest first.
func Packages() []Package { return packages[:len(packages):len(packages)] }

// AddressCount is the number İYS bills: the larger of approved telephone
// numbers and approved e-mail addresses, not their sum.
func AddressCount(phones, emails int) int { return max(phones, emails, 0) }

// PackageFor returns the smallest package that holds n addresses.
func PackageFor(n int) Package {
	for _, p := range packages {
		if p.Limit == 0 || n <= p.Limit {
			return p
		}
	}
	return packages[len(packages)-1]
}

// DirectAccess reports whether a service provider with n addresses may use the
// İYS API without a licensed partner.
func DirectAccess(n int) bool { return PackageFor(n).Limit == 0 }
