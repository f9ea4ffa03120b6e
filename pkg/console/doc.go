// Package console serves the pages at /console/: usage, retention, catalog,
// flow and audit, for analysts, officers and operators.
//
// A [Console] decides nothing and has no power of its own. Every number on a
// page comes from Lethe's HTTP routes through an [API], asked with the
// credential and the purpose of whoever is signed in, so that the gate decides
// and records it like any other request (P10, P14, P15). In one process the
// routes are called without a socket; where the analyst is another process, it
// is asked over HTTP.
//
// # Sessions
//
// Who signs in shows a credential. The session that begins holds it in memory
// alone; its id, 256 random bits, is in the browser's cookie and its SHA-256
// here. With each request the credential is recognized anew, so that one that
// was revoked, expired or is used from a wrong network ends its session. 30
// minutes without anybody at it end one too, and so do 30 days (P22); what a
// page asks for by itself does not count. A failed attempt counts with the
// gate's.
//
// # Pages
//
// They are made here, of html/template, and work without JavaScript but for
// charts, which are drawn from the tables behind them. The Content-Security-
// Policy lets nothing run, load or be sent that is not of this server, and
// nothing inline; forms carry a proof that they were served to the session, and
// those of other sites are refused (http.CrossOriginProtection). No page holds
// a credential, and no address anything but declared names, days, published
// values and places in a log.
//
// The page about usage shows answers made of published cells (pkg/stats) and
// adds nothing to them (P19): what is hidden has no point in a chart, what cells
// do not tell is last and drawn as such, and what can be asked follows from the
// list of metrics. Its address is the question; one that says anything else
// leads to the one that does not.
//
// What others made lies in static/vendor, as it came.
//
// # Concurrency
//
// A Console may be used from many goroutines.
package console
