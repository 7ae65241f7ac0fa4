// Package arch keeps the architecture by tests: who may import whom and why not, one package comment per package, the names at the
// top of the tree, the size of files and functions. A rule that no longer applies to anything fails as well.
package arch
