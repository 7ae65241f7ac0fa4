// Package reconcile compares, for each brand and finished day, what İYS registered with what we know it registered
// (mutabakat, iys-api.md §11).
//
// Each night [Reconciler.Run] takes İYS's summary and the hash of its file of the day, builds our own file from the movements
// the exchange has kept, and compares. Equal files are agreed to, and the time stamp İYS then gives is kept as proof. Files that
// differ are laid side by side row by row, and what differs becomes a [Plan]: movements missing here, missing there, or told
// differently. A person looks at the plan and applies it ([Reconciler.Apply]) or not, and can undo it ([Reconciler.Undo]).
//
// No plan turns a refusal into an approval by itself. Where İYS's file has an approval and we hold a refusal, the item waits to
// be named by a person, and even then it is İYS's live answer that counts, not the file. Blocks are never lifted here.
//
// The package keeps nothing in files: İYS's file is read as it comes and never lands on the disk in the clear.
package reconcile
