// Command izinli is the gateway and its administration: "izinli serve" runs it, "izinli demo" runs it with a simulated world
// around, the other commands do by hand what the panel does in the browser.
//
// A command of administration goes through package desk: to the running server over its socket, or to the store itself when no
// server runs. There is one file per noun; what they share is in root.go (flags, configuration), store.go (opening the store
// and its key), edit.go (flags that change a record) and print.go (tables and JSON). Nothing is decided here.
package main
