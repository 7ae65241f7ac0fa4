// Package iystest plays İYS: a simulator that speaks its REST API over HTTP
// with its codes, its Turkish texts, its limits and its delays.
//
// Make one with [New], fill it ([Sim.AddProvider], [Sim.AddUser], …, or
// [Sim.Seed] for a ready-made set), and either mount it as an http.Handler,
// listen with [Listen], or hand [Sim.Transport] to a client, which keeps
// everything in memory and works under testing/synctest. Citizens act through
// [Sim.Citizen]; faults come from [Sim.Fail] and [Sim.SetDown]; what İYS would
// hold is read back with [Sim.Stored], [Sim.Movements] and [Sim.Counters].
//
// It is written from the documentation (iys-api.md) and knows nothing of the
// client. Points marked "not confirmed" there follow the best guess and can be
// switched with [Oddities]. It imports only the standard library, keeps all
// state in memory and is no place for real addresses.
package iystest
