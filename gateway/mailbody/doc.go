// Package mailbody keeps mail bodies: a [Store] streams them encrypted into files, so that no body is ever held whole in memory
// and nothing readable lies on disk. It implements gateway.BodyStore.
//
//	s, err := mailbody.Open(dir, key, mailbody.Options{})
//	ref, err := s.Put(ctx, r)   // synced when it returns
//	rc, err := s.Open(ctx, ref) // streams the body back
//	err = s.Delete(ctx, ref)
//
// A body no larger than [Options.Inline] need not become a file: with a [Small] store behind it Put hands it there, and a
// caller that writes a record anyway uses [Store.Stage] and keeps the octets in that record, inside its own commit.
//
// A [Log] is for such a caller when its records should stay small: it keeps bodies one after another in encrypted segment files, many of
// them behind one sync, and the record holds the place.
//
// A file is written under another name, synced and renamed, and the directory is synced before Put returns; a crash leaves at
// most files nobody refers to, which [Store.Sweep] removes. The format stands in file.go.
//
// The package refuses to know what a mail is, who refers to a body, and where the key comes from.
package mailbody
