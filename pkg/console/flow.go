package console

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/operation"
)

// flowBody is what the page shows.
type flowBody struct {
	No         *refusal
	At         time.Time
	Policy     string
	Steps      []step
	Tables     []operation.TableStatus
	Quarantine asked[operation.QuarantineList]
	Reasons    []reason
	Keys       asked[operation.KeyList]
	Epochs     []epoch
	Kinds      []keyKind
	Parts      []part
	Every      int // seconds between two looks
	MayRedrive bool
	Redriven   *operation.RedriveAnswer
	Proof      string
}

// A step is a stage of the flow, or the log between two, as the page shows it:
// one large number and a few small ones, each under a name that the live
// numbers come by.
type step struct {
	Name, Kind string // kind: stage or log
	Main       fact
	Facts      []fact
	Missing    bool // the stage does not answer
}

type fact struct{ Key, Name, Text string }

// reason is why events wait in quarantine, and how many do.
type reason struct {
	Service, Event, Reason string
	Events, Frames         int
	Since                  time.Time
}

// epoch is one key of tokens and the days that it is for.
type epoch struct {
	Domain, Class, Days string
	From, To            time.Time
	State               string
	Since               time.Time
	Current             bool
}

// keyKind counts the keys of one kind.
type keyKind struct {
	Name, What      string
	Live, Destroyed int
}

// part is a part of the process and how it is.
type part struct {
	Name, State string
	OK          bool
}

// liveEvery is how often the page looks by itself, in seconds. The route that it
// asks puts nothing on record.
const liveEvery = 2

func (o *Console) flow(v *visit) {
	if v.enter("flow") {
		v.showFlow(nil)
	}
}

func (v *visit) showFlow(redriven *operation.RedriveAnswer) {
	var status asked[operation.Status]
	b := flowBody{
		Every: liveEvery, Redriven: redriven, Proof: v.session.proof,
		MayRedrive: v.who.Role == access.Operator && v.who.CoversRoute("POST /v1/quarantine/redrive"),
	}
	together(
		func() { status = get[operation.Status](v, "/v1/status", nil) },
		func() { b.Quarantine = get[operation.QuarantineList](v, "/v1/quarantine", nil) },
		func() { b.Keys = get[operation.KeyList](v, "/v1/keys", nil) },
		func() { b.Parts = v.parts() },
	)
	b.No = status.No
	if b.No == nil {
		s := status.V
		b.At, b.Policy, b.Steps, b.Tables = s.At, s.Policy, steps(s), s.Tables
	}
	b.Reasons = reasons(b.Quarantine.V.Items)
	b.Epochs, b.Kinds = epochs(b.Keys.V.Keys, v.c.Now())
	v.render(http.StatusOK, "flow", "Flow", b)
}

// flowNumbers are the numbers of the page alone, for those that are shown
// already.
func (o *Console) flowNumbers(v *visit) {
	if !v.sees("flow") {
		http.Error(v.w, "not for this role", http.StatusForbidden)
		return
	}
	s := get[operation.Status](v, "/v1/status", nil)
	if s.No != nil {
		http.Error(v.w, s.No.Text, s.No.Status)
		return
	}
	out := struct {
		At     string             `json:"at"`
		Values map[string]string  `json:"values"`
		Points map[string]float64 `json:"points"`
	}{s.V.At.Format(time.TimeOnly), map[string]string{}, map[string]float64{}}
	for _, st := range steps(s.V) {
		for _, f := range append(st.Facts, st.Main) {
			out.Values[f.Key] = f.Text
		}
	}
	for _, t := range s.V.Tables {
		out.Values["table."+t.Name] = num(t.Rows)
	}
	for _, st := range s.V.Stages {
		if counted := flowing[st.Stage]; counted != "" {
			out.Points[st.Stage] = st.Rates[counted]
		}
	}
	v.w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(v.w).Encode(out) // the caller has gone; nobody to tell
}

// flowing is what each stage of the flow passes on.
var flowing = map[string]string{"gateway": "events", "pseudonymizer": "events", "loader": "rows", "cells": "cells"}

// steps puts stages and logs in the order that data takes.
func steps(s operation.Status) []step {
	stage := func(name string, facts ...fact) step {
		i := slices.IndexFunc(s.Stages, func(st operation.StageStatus) bool { return st.Stage == name })
		if i < 0 {
			return step{Name: name, Kind: "stage", Missing: true}
		}
		st := s.Stages[i]
		out := step{Name: name, Kind: "stage", Main: fact{name + ".rate", flowing[name] + " a second", rate(st.Rates[flowing[name]])}}
		if name != "gateway" {
			out.Facts = append(out.Facts, fact{name + ".lag", "frames waiting", num(st.Lag)})
		}
		for _, f := range facts {
			out.Facts = append(out.Facts, fact{name + "." + f.Key, f.Name, num(st.Numbers[f.Key])})
		}
		return out
	}
	between := func(name, title string) step {
		out := step{Name: title, Kind: "log"}
		for _, l := range s.Logs {
			if l.Name == name {
				out.Main = fact{"log." + name, "frames", num(l.Messages)}
				out.Facts = []fact{{"log." + name + ".size", "on disk", size(l.Bytes)}, {"log." + name + ".oldest", "oldest", cmp.Or(strings.TrimSuffix(strings.Replace(l.Oldest, "T", " ", 1), "Z"), "–")}}
			}
		}
		return out
	}
	return []step{
		stage("gateway", fact{"events", "events", ""}, fact{"duplicates", "duplicates", ""}, fact{"refused", "refused", ""}),
		between("raw", "raw log"),
		stage("pseudonymizer", fact{"events", "events", ""}, fact{"quarantined", "quarantined", ""}),
		between("clean", "clean log"),
		stage("loader", fact{"rows", "rows", ""}, fact{"duplicates", "duplicates", ""}),
		stage("cells", fact{"cells", "published", ""}, fact{"failures", "failures", ""}),
	}
}

// reasons puts together what waits for the same reason.
func reasons(items []operation.QuarantineItem) []reason {
	var out []reason
	for _, item := range items {
		i := slices.IndexFunc(out, func(r reason) bool {
			return r.Service == item.Service && r.Event == item.Event && r.Reason == item.Reason
		})
		if i < 0 {
			i = len(out)
			out = append(out, reason{Service: item.Service, Event: item.Event, Reason: item.Reason, Since: item.At})
		}
		out[i].Events += item.Count
		out[i].Frames++
	}
	slices.SortStableFunc(out, func(a, b reason) int { return b.Events - a.Events })
	return out
}

// kindsOf says what the keys of each kind are for, by the first word of their
// names.
var kindsOf = []keyKind{
	{Name: "raw", What: "hours of the raw log"},
	{Name: "clean", What: "expiry days of the clean log"},
	{Name: "epoch", What: "epochs of tokens"},
	{Name: "hold", What: "legal holds"},
	{Name: "event-id", What: "ids of events"},
}

// epochs reads the names of keys: epoch/DOMAIN/CLASS@DAYSd/FIRST, FIRST in days
// since 1970.
func epochs(keys []operation.KeyInfo, now time.Time) (out []epoch, kinds []keyKind) {
	kinds = slices.Clone(kindsOf)
	for _, k := range keys {
		words := strings.Split(k.Name, "/")
		if i := slices.IndexFunc(kinds, func(kk keyKind) bool { return kk.Name == words[0] }); i >= 0 {
			if k.State == "live" {
				kinds[i].Live++
			} else {
				kinds[i].Destroyed++
			}
		}
		if words[0] != "epoch" || len(words) != 4 {
			continue
		}
		name, length, _ := strings.Cut(words[2], "@")
		first, err1 := strconv.Atoi(words[3])
		days, err2 := strconv.Atoi(strings.TrimSuffix(length, "d"))
		if err1 != nil || err2 != nil {
			continue
		}
		from := time.Unix(0, 0).UTC().AddDate(0, 0, first)
		e := epoch{Domain: words[1], Class: name, Days: plural(days, "day"), From: from, To: from.AddDate(0, 0, days), State: k.State, Since: k.At}
		e.Current = k.State == "live" && !now.Before(e.From) && now.Before(e.To)
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b epoch) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Class, b.Class), b.From.Compare(a.From))
	})
	kinds = slices.DeleteFunc(kinds, func(k keyKind) bool { return k.Live+k.Destroyed == 0 })
	return out, kinds
}

// parts asks the process how it is, in the words of /readyz.
func (v *visit) parts() []part {
	a, _ := v.call(http.MethodGet, "/readyz", nil, nil)
	var report struct {
		Parts map[string]string `json:"parts"`
	}
	if json.Unmarshal(a.Body, &report) != nil {
		return nil
	}
	var out []part
	for name, state := range report.Parts {
		out = append(out, part{name, state, state == "ok"})
	}
	slices.SortFunc(out, func(a, b part) int {
		if a.OK != b.OK {
			return before(!a.OK)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// redrive treats what is in quarantine again.
func (o *Console) redrive(v *visit) {
	a := ask[operation.RedriveAnswer](v, http.MethodPost, "/v1/quarantine/redrive", nil, nil)
	if a.No != nil {
		v.fail(a.No.Status, a.No.Text)
		return
	}
	v.showFlow(&a.V)
}
