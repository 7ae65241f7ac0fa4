// Program bench measures the gateway and says what it found, one line of JSON for each figure and a summary for people.
//
//	go run ./test/bench                 # every figure of the default set
//	go run ./test/bench T1 T5           # some of them
//	go run ./test/bench --quick --list  # small runs; what there is
//
// What is measured is the assembled gateway in a process of its own, started by this program as `bench gateway`, so that its
// CPU and memory are its own. Load generators, the simulated operator and the simulated İYS share this process; Redis, where
// one is used, is started by this program in a directory of its own. They share the machine's cores, as the targets assume.
//
// Nothing is switched off for speed: the store is the default one (synced commits, encryption at rest, the decision chain),
// the brand is in mode partner, its consents are in the mirror and kept fresh by pulls from the simulated İYS. Only quiet
// hours are off, so that a figure does not depend on the time of day.
//
// Every message carries a reference in its text. Accepted is what a client was told, arrived is what the operator read;
// losses are the first without the second, duplicates what arrived more than once. Receipts are counted by message id at
// the client. Figures that end before delivery are checked against the store itself, which is verified after the run.
package main
