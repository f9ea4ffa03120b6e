// Package process runs the parts of one Lethe process in order, and tells the
// outside how they are.
//
// A part is a [Service]: one method that works until its context ends and says
// once when it is ready. [Run] takes a list of them. The list is the order of
// dependence: the stores stand first and the doors last. Read forwards it is
// how the process starts, each part after the one before is ready; read
// backwards it is how the process stops, so a door is shut before what stands
// behind it goes away.
//
//	err := process.Run(ctx, log, nil,
//		process.Named{Name: "nats", Service: nats},
//		process.Named{Name: "loader", Service: loader},
//		process.Named{Name: "gateway", Service: gateway},
//	)
//
// [Health] keeps the list of what is ready and serves /healthz, /readyz and
// /metrics.
//
// # Guarantees
//
//   - A part's context ends only when every part after it has returned, or has
//     outstayed its time. It does not end when the parent's context does.
//   - A part that fails ends all of them, in the same order.
//   - Run returns within StopBudget and one second of being asked to stop,
//     whatever the parts do. A part that is not done by then is abandoned:
//     every step of Lethe may be cut at any point and done again.
//
// The package restarts nothing. A part that can heal itself does so inside its
// own Run; one that cannot ends the process, and whoever runs the process
// starts it again.
package process
