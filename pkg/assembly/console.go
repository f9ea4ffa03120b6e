package assembly

import (
	"context"
	"net/http"
	"net/url"

	"github.com/lethe-pipeline/lethe/pkg/console"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/process"
)

// Console serves the pages for people. It connects to nothing: it asks the
// routes of this process, and those of the analyst where that is another one,
// with the credential of whoever is signed in.
var Console = Part{"console", func(_ context.Context, site *Site) (process.Service, error) {
	api := console.InProcess(site.mux)
	if at := site.Config.Console.Analyst; at != "" {
		if u, err := url.Parse(at); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fault.Invalid.Errorf("console.analyst must be an http or https URL")
		}
		client := &http.Client{
			// An answer that leads elsewhere would take the credential there.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		api = console.Split("/v1/stats", console.Remote(at, client), api)
	}
	console.New(console.Config{API: api, Gate: site.gate, Log: site.Log.With("service", "console")}).Routes(site.mux)
	return idle, nil
}}
