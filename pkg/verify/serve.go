package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	// Every is how long one verification of [Verifier.Run] comes after
	// another, give or take a tenth.
	Every = 10 * time.Minute
	// patience bounds one verification.
	patience = 100 * time.Second
)

// recorded is what Run put on record last.
type recorded struct {
	day    event.Day
	broken []string
}

// Run verifies at once and then every [Every], until ctx ends. It records the
// outcome when it is another than the last, and once a day.
func (v *Verifier) Run(ctx context.Context, ready func()) error {
	ready()
	for {
		v.once(ctx)
		wait := time.NewTimer(Every - Every/10 + rand.N(Every/5))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
	}
}

// once is one verification of Run. What it finds is for the metrics and the
// record; who asks sees more.
func (v *Verifier) once(ctx context.Context) {
	own, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := v.Verify(own)
	if err != nil {
		if ctx.Err() == nil {
			v.c.Log.Error("verification failed", "err", err)
		}
		return
	}
	is := recorded{event.DayOf(r.At), r.Broken()}
	v.mu.Lock()
	was := v.last
	v.mu.Unlock()
	if is.day == was.day && slices.Equal(is.broken, was.broken) {
		return
	}
	if len(is.broken) > 0 {
		v.c.Log.Error("promises broken", "promises", is.broken, "findings", r.findings())
	} else {
		v.c.Log.Info("promises hold")
	}
	if v.c.Recorder != nil {
		if err := v.c.Recorder.Record(own, audit.KindVerify, Outcome(r)); err != nil {
			v.c.Log.Error("verification not recorded", "err", err)
			return // the next one tries again
		}
	}
	v.mu.Lock()
	v.last = is
	v.mu.Unlock()
}

// Broken lists the enforced promises that do not hold.
func (r Report) Broken() []string {
	out := []string{}
	for _, p := range r.Promises {
		if p.Enforced && !p.Holds {
			out = append(out, p.ID)
		}
	}
	return out
}

// findings counts what was found, each thing once.
func (r Report) findings() int {
	all := map[Finding]bool{}
	for _, p := range r.Promises {
		for _, f := range p.Findings {
			all[f] = true
		}
	}
	return len(all)
}

// Outcome is a report as it goes on record.
func Outcome(r Report) audit.Verify {
	return audit.Verify{Holds: r.Holds, Broken: r.Broken(), Report: r.Digest()}
}

// Digest is the SHA-256, in hex, of the report as JSON.
func (r Report) Digest() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic("verify: a report must marshal: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Routes puts GET /v1/verify on mux: a verification, for officers and
// operators. It is recorded before it is answered; what cannot be recorded is
// not answered. GET /v1/verify/history is the [History], and looks at nothing.
func (v *Verifier) Routes(mux *http.ServeMux) {
	v.c.Gate.Handle(mux, "GET /v1/verify", []access.Role{access.Officer, access.Operator}, func(w http.ResponseWriter, r *http.Request, p access.Principal) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		report, err := v.Asked(ctx, p.ID)
		if err != nil {
			v.c.Log.Error("verification failed", "err", err)
			fault.WriteProblem(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(report) // the caller has gone; nobody to tell
	}, access.Installation)
	v.c.Gate.Handle(mux, "GET /v1/verify/history", []access.Role{access.Officer, access.Operator}, v.serveHistory, access.Installation, access.Unrecorded) // counts, and every page of the console asks for it
}

// Asked verifies because the holder of a credential asks, and puts the outcome
// on record. When that fails it is [fault.Unavailable], and there is no report.
func (v *Verifier) Asked(ctx context.Context, credential string) (Report, error) {
	r, err := v.Verify(ctx)
	if err != nil {
		return Report{}, fault.Unavailable.Errorf("verifying took too long: %w", err)
	}
	if v.c.As == nil {
		return Report{}, fault.Unavailable.Errorf("a verification cannot be put on record here")
	}
	if err := v.c.As(credential).Record(ctx, audit.KindVerify, Outcome(r)); err != nil {
		return Report{}, fault.Unavailable.Errorf("putting the verification on record: %w", err)
	}
	return r, nil
}
