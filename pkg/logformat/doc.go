// Package logformat turns the log files of web servers into events that can be
// published.
//
// [Read] walks a file line by line and yields, for each, either a [Line] or a
// [Problem]:
//
//	for line, problem := range logformat.Read("combined", file, logformat.Options{}) {
//		if problem != nil {
//			account.Refuse(problem.Reason)
//			continue
//		}
//		publisher.Add(ctx, client.Event{Event: line.Event, ID: line.ID, …})
//	}
//
// The formats are common and combined, as Apache httpd (mod_log_config) and
// nginx (ngx_http_log_module) write them, and nginx-json, which is what nginx
// writes with escape=json. Every line of theirs is one http_access event.
//
// # Guarantees
//
//   - Every line that is not empty yields exactly one value, so lines read are
//     lines published plus lines refused.
//   - A line whose address, time and status are sound is never refused for its
//     request line. What a scanner sent instead of a request is left out.
//   - [Line.Data] is a valid JSON object. A byte that is not UTF-8 in a common
//     or combined line appears in it as \xHH; an nginx-json line that is not
//     UTF-8 is refused, because JSON is UTF-8 (RFC 8259, section 8.1).
//   - A [Problem] names the field that is wrong and never shows its value. Its
//     reasons are a closed list, so they can be counted.
//   - The same line of the same file has the same [Line.ID] every time, and
//     lines that are equal byte for byte have different ones. Importing a file
//     again repeats ids; it does not invent them.
//   - Memory does not grow with the length of a line (64 KiB is the limit). It
//     grows with the number of lines by about 13 bytes each, for [Ordinals].
//
// # Time
//
// Times are read with the offset they carry. A line from before 1990 or from
// 2106 on, or with a second 60, has a broken clock and is refused. Old logs can
// be moved to the present: [Newest] finds their last moment, [ShiftFor] the
// whole number of days to move them by, and [Options.Shift] moves them. The id
// stays that of the bytes as they were logged.
//
// # What it does not do
//
// It does not hold an event to its schema; the gateway does. A client that was
// logged by host name is passed on as it is, and refused there. It opens no
// file and does not decompress.
//
// # Concurrency
//
// One sequence belongs to one goroutine. Sequences that share an [Ordinals]
// are read one after the other.
package logformat
