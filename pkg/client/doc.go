// Package client publishes events to Lethe and asks it questions, over HTTP.
//
// [New] makes a [Client] from the address of a server and a credential. A
// service that has events now and then calls [Client.Publish]; one that has
// them all the time makes a [Publisher], which gathers them into requests in
// the background:
//
//	c, err := client.New(client.Config{Server: addr, Credential: secret, Service: "web", Log: log})
//	if err != nil {
//		return err
//	}
//	p := c.Publisher(client.PublisherConfig{Results: func(r client.Result) { account.Tally(r.Receipts) }})
//	err = p.Add(ctx, client.Event{Event: "login", OccurredAt: at, Data: login})
//	…
//	err = p.Close(ctx)
//
// [Client.Do] is for everything that is not an event: it asks for a path and
// decodes the answer.
//
// # Guarantees
//
//   - An event with a receipt that says stored is on the server's disk.
//   - A request that is sent again is counted once. Each call of Publish has
//     one idempotency key for all its attempts: random, or derived from the
//     ids of the events when every one has an id, so that a program that died
//     and begins again is recognized too.
//   - A request is sent again after a lost connection, 408, 429 and 5xx, with
//     exponential back-off and full jitter ("Exponential Backoff And Jitter",
//     AWS Architecture Blog, 2015), and not before Retry-After (RFC 9110,
//     section 10.2.3) has passed.
//   - Each event that a Publisher took comes back in exactly one Result, also
//     when it could not be published.
//   - Errors and logs hold no value of an event and no credential.
//
// When an answer was lost and the request had landed, the second attempt is
// told duplicate for events that the first one stored. Both mean that the
// event is there, once.
//
// # Errors
//
// A problem document (RFC 9457) becomes an error of the kind that package
// fault gives its status, and so does a connection that fails: errors.Is(err,
// fault.Denied), fault.Unavailable and so on. A 500 has no kind.
//
// # Concurrency
//
// A Client and a Publisher may be used by many goroutines. An [Account] may
// not; a Publisher calls Results one at a time, so it can be tallied there.
package client
