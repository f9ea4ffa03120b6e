package treatment

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// agentFamily is what coarsening a user agent aims at. Apply answers it from a
// memory of its own call, since the requests of a frame share their agents.
const agentFamily = "user_agent_family"

// coarsen leaves a value less precise: what is left is one of few.
func coarsen(to string, kind event.Kind) func(event.Value) (event.Value, flaw) {
	step, isStep := strings.CutPrefix(to, "step:")
	switch {
	case to == agentFamily:
		return onString(family)
	case to == "host":
		return onString(hostOf)
	case to == "hour":
		return onTime(time.Hour)
	case to == "day":
		return onTime(24 * time.Hour)
	case isStep:
		return onNumber(step, kind)
	}
	return drop
}

// onString makes a treatment of a function on text. Empty is absent.
func onString(f func(string) string) func(event.Value) (event.Value, flaw) {
	return func(v event.Value) (event.Value, flaw) {
		if v.Kind() != event.String {
			return event.Value{}, wrongType
		}
		if out := f(v.Str()); out != "" {
			return event.StringValue(out), sound
		}
		return event.Value{}, sound
	}
}

// onTime leaves the UTC hour or day in which an instant falls.
func onTime(grain time.Duration) func(event.Value) (event.Value, flaw) {
	return func(v event.Value) (event.Value, flaw) {
		if v.Kind() != event.Time {
			return event.Value{}, wrongType
		}
		return event.TimeValue(v.Time().Truncate(grain)), sound
	}
}

// onNumber leaves the multiple of step at or below a number.
func onNumber(step string, kind event.Kind) func(event.Value) (event.Value, flaw) {
	whole, err := strconv.ParseInt(step, 10, 64)
	isWhole := err == nil && whole > 0
	size, err := strconv.ParseFloat(step, 64)
	if err != nil || !(size > 0) || math.IsInf(size, 0) {
		return drop
	}
	return func(v event.Value) (event.Value, flaw) {
		switch v.Kind() {
		case event.Int:
			if !isWhole {
				return event.Value{}, wrongType
			}
			return as(kind, event.IntValue(floor(v.Int(), whole)))
		case event.Float:
			out := math.Floor(v.Float()/size) * size
			if math.IsNaN(out) || math.IsInf(out, 0) {
				return event.Value{}, sound
			}
			return as(kind, event.FloatValue(out))
		}
		return event.Value{}, wrongType
	}
}

// floor is the multiple of step at or below n, or the lowest multiple there is.
func floor(n, step int64) int64 {
	rest := n % step
	if rest < 0 {
		if n < math.MinInt64+step+rest {
			return n - rest
		}
		rest += step
	}
	return n - rest
}
