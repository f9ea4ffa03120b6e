// Package lethetest starts the real parts that tests need: a NATS server in the
// test's process and a ClickHouse engine beside it, each in a directory of the
// test and stopped when it ends.
//
// A package whose tests start an engine must hand its test binary over first,
// because the engine is that binary, started again:
//
//	func TestMain(m *testing.M) { os.Exit(lethetest.Main(m)) }
//
// Without it [Engine] fails the test and says so. On a machine without the
// engine's library, Engine skips the test, unless LETHE_TEST_REQUIRE lists
// "clickhouse": then it fails, because there a skip is a failure.
package lethetest
