package gateway

// Forms are all ways in which a body holds events.
var Forms = []form{formJSON, formLines, formSniff, formCloud, formBatch}

// Parse reads a body as HTTP and as NATS publishers send it, and returns how
// many events it holds.
func Parse(as form, body []byte) (n int, err error) {
	for _, interpret := range []func(envelope, []byte, submission) submission{interpretHTTP(as), interpretNATS} {
		in := reader{defaults: submission{service: "shop"}, interpret: interpret}
		subs, err := in.parse(as, body)
		if err != nil {
			return 0, err
		}
		n = len(subs)
	}
	return n, nil
}
