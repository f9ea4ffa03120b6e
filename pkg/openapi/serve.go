package openapi

import (
	"net/http"
	"sync"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/process"
)

var serving = table{"process", "How the process is. Needs no credential, and holds no data.", []route{
	{"GET /healthz", "getHealth", "Whether the process answers", func(_ *builder, o *Operation) {
		o.Description = "It does not say whether it can do its work: see /readyz."
		o.answers(200, "It does.", map[string]Media{"text/plain": text("ok\n")})
	}},
	{"GET /readyz", "getReadiness", "Whether every part is ready", func(b *builder, o *Operation) {
		o.Description = "Each part with ok, or with the sentence that says why it is not ready."
		ready := map[string]string{"gateway": "ok", "loader": "ok"}
		o.answers(200, "Every part is.", asJSON[process.Report](b, process.Report{Ready: true, Parts: ready}))
		o.answers(503, "Some part is not.", asJSON[process.Report](b, nil))
	}},
	{"GET /metrics", "getMetrics", "The metrics of the process", func(_ *builder, o *Operation) {
		o.Description = "In the text format of Prometheus. Labels come from the policy and name nobody."
		o.answers(200, "The metrics.", map[string]Media{"text/plain": text(nil)})
	}},
	{"GET /openapi.json", "getDocument", "This document", func(_ *builder, o *Operation) {
		o.Description = "Describes the routes that the process serves, under the policy in force."
		o.answers(200, "The document.", map[string]Media{jsonMedia: {Schema: &Schema{Type: "object"}}})
	}},
}}

// Routes puts the document on a mux. The routes that it describes are those
// that the gate has when it is first asked for: the door opens when all parts
// have put theirs on it.
func Routes(mux *http.ServeMux, pol *policy.Policy, gate *access.Gate) {
	document := sync.OnceValue(func() []byte { return New(pol, gate.Routes()).Encode() })
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonMedia)
		w.Header().Set("Cache-Control", "no-store") // another policy may follow
		_, _ = w.Write(document())                  // the caller has gone; nobody to tell
	})
}
