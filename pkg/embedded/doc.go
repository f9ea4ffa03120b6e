// Package embedded runs the two stores of Lethe on one machine without
// installing either: NATS inside this process, and ClickHouse as a child of
// it. Both are a [process.Service], and to everything else they look like the
// servers they are: the same drivers, the same credentials, the same
// permissions as in a cluster.
//
// # NATS
//
// [NATS] is a nats-server with a JetStream file store. Every write is on disk
// before it is acknowledged (P18): the default of the server is to flush every
// two minutes, and loses all of them in a power cut. It opens no port unless
// asked to; [NATS.Connect] goes through a pipe inside the process, and still
// with a user, a password and that user's permissions. When the store cannot
// be written any more, Run returns an error, because only a restart mends it.
//
// # The engine
//
// [Engine] is ClickHouse from a shared library that `make engine` fetches. It
// runs in a child process, this same binary started again with the hidden
// command [EngineChildCommand], so that a crash of the engine is not a crash of
// Lethe. A supervisor starts it again with back-off. A main package, and every
// test binary that starts an engine, must therefore hand over first thing:
//
//	if len(os.Args) > 1 && os.Args[1] == embedded.EngineChildCommand {
//		embedded.EngineChildMain()
//	}
//
// The native port of the engine must stay private: a failed login or a stray
// byte on it ends the process. It is a random port on the loopback address,
// reached by [Engine.Dial], which waits while the engine is being started
// again. Only the HTTP port withstands strangers.
//
// The engine stops when the pipe that is its standard input closes. The death
// of this process closes it too, whatever kills it, so no engine is left
// behind.
//
// The user "default" of the engine has no password and cannot have one. It is
// locked by a quota of the two statements that open the ports; everybody else
// is an [EngineUser], with a password and the grants listed for it.
//
// # What it does not do
//
// It creates no streams and no tables, and knows nothing of policy. It does
// not replicate: the engine cannot. It does not encrypt what the engine
// stores; the encrypted disk of the engine excludes the fsync settings that
// keep P18, so the disk below it must.
//
// Values are safe for concurrent use once Run has called ready.
package embedded
