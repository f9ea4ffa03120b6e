// Package operation is what an operator and an officer see of a running Lethe
// and what they may ask of it: how far each stage is, where the live stores
// differ from the policy, what waits in quarantine, which keys exist, and a
// rebuild of the warehouse; and the catalog and the record of processing, which
// follow from the policy.
//
// [Enact] makes a policy the one in force, [Operation.PlanFor] says what another
// would change, and [Operation.Apply] keeps one for the next start.
//
// It opens no frame; of rows it learns how many there are. What takes another
// service's powers, a redrive for example, it passes on to that service.
//
// # Concurrency
//
// An [Operation] has no state of its own and may be used by many goroutines.
package operation
